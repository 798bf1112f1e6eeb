#include "resolver/local_api/nss_server.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "local_protocol/local_protocol.h"

namespace mutua::resolver {
namespace {

constexpr std::size_t kMostConnections = 1024;
constexpr int kAcceptedInOneTurn = 64;
constexpr std::chrono::milliseconds kIdle{10'000}, kPause{100};

mutua_local_response empty_response(mutua_local_status status) {
  mutua_local_response response{};
  response.magic = MUTUA_LOCAL_RESPONSE_MAGIC;
  response.status = status;
  return response;
}

mutua_local_response found(const std::string& name, const SocketAddress& address,
                           std::chrono::seconds ttl) {
  mutua_local_response response = empty_response(MUTUA_LOCAL_FOUND);
  response.family = static_cast<std::uint32_t>(address.family());
  response.ttl = static_cast<std::uint32_t>(ttl.count());
  response.address_count = 1;
  const BytesView octets = address.address_octets();
  std::copy(octets.begin(), octets.end(), response.address[0]);
  response.name_length = static_cast<std::uint32_t>(name.size());
  std::memcpy(response.name, name.data(),
              name.size());  // shorter than name[]: a Name has 255 octets
  return response;
}

mutua_local_response response_to(const LookupAnswer& answer, const std::string& name,
                                 std::uint32_t family) {
  switch (answer.status) {
    case LookupAnswer::Status::not_held:
      return empty_response(MUTUA_LOCAL_NOT_FOUND);
    case LookupAnswer::Status::unavailable:
      return empty_response(MUTUA_LOCAL_TRY_AGAIN);
    case LookupAnswer::Status::found:
      break;
  }
  if (name.size() >= MUTUA_LOCAL_NAME_SIZE || (family == AF_INET6 && !answer.ipv6))
    return empty_response(MUTUA_LOCAL_NO_DATA);
  return found(name, family == AF_INET6 ? *answer.ipv6 : answer.address.with_port(0), answer.ttl);
}

bool somebody_answers_at(const sockaddr_un& address) {
  const UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
         errno == EAGAIN;
}

}  // namespace

bool is_sane(const mutua_local_request& request) {
  if (request.magic != MUTUA_LOCAL_REQUEST_MAGIC) return false;
  if (request.operation == MUTUA_LOCAL_BY_ADDRESS)
    return request.family == AF_INET || request.family == AF_INET6;
  return request.operation == MUTUA_LOCAL_BY_NAME && request.name_length >= 1 &&
         request.name_length < MUTUA_LOCAL_NAME_SIZE && request.name[request.name_length] == '\0' &&
         std::memchr(request.name, 0, request.name_length) == nullptr &&
         (request.family == AF_UNSPEC || request.family == AF_INET || request.family == AF_INET6);
}

class NssServer::Connection final : public EventLoop::Handler,
                                    public std::enable_shared_from_this<Connection> {
 public:
  Connection(NssServer& server, UniqueFd socket) : server_(server), socket_(std::move(socket)) {}
  ~Connection() = default;

  void begin() {
    if (!server_.loop_.add(socket_.get(), EPOLLIN, *this)) return close();
    wait_for_request();
  }

  void close() {
    closed_ = true;
    server_.loop_.cancel(timer_);
    socket_.reset();
    server_.forget(*this);
  }

  void on_ready(std::uint32_t) override {
    if (closed_ || asking_) return;
    auto* octets = reinterpret_cast<std::uint8_t*>(&request_);
    const auto received = recv(socket_.get(), octets + received_, sizeof request_ - received_, 0);
    if (received < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (received <= 0) return close();
    received_ += static_cast<std::size_t>(received);
    if (received_ < sizeof request_) return;
    received_ = 0;
    if (!is_sane(request_)) return close();
    answer_request();
  }

 private:
  void wait_for_request() {
    timer_ = server_.loop_.after(kIdle, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->close();
    });
  }

  void answer_request() {
    server_.loop_.cancel(timer_);
    if (request_.operation == MUTUA_LOCAL_BY_ADDRESS) return answer_by_address();
    const std::string text(request_.name, request_.name_length);
    const auto name = wire::Name::parse(text);
    if (!name) return respond(empty_response(MUTUA_LOCAL_NOT_FOUND));
    asking_ = true;
    server_.names_.lookup(
        *name, [weak = weak_from_this(), key = key_of(*name)](LookupAnswer answer) {
          const auto self = weak.lock();
          if (!self || self->closed_) return;
          self->asking_ = false;
          if (self->resting_ && !self->server_.loop_.add(self->socket_.get(), EPOLLIN, *self))
            return self->close();
          self->resting_ = false;
          self->respond(response_to(answer, key, self->request_.family));
        });
    if (!asking_ || closed_) return;
    // While the authority is asked the descriptor rests, or its hang-up would spin the loop.
    server_.loop_.remove(socket_.get());
    resting_ = true;
  }

  void answer_by_address() {
    const std::size_t size = request_.family == AF_INET ? 4 : 16;
    const auto address = SocketAddress::from_octets(BytesView(request_.address, size), 0).value();
    const auto name = server_.names_.name_of(address);
    if (!name || name->size() >= MUTUA_LOCAL_NAME_SIZE)
      return respond(empty_response(MUTUA_LOCAL_NOT_FOUND));
    respond(found(*name, address, std::chrono::seconds(60)));
  }

  void respond(const mutua_local_response& response) {
    // A response fits into the socket's buffer; a client that lets it fill up is not listening.
    const bool wants_table = request_.table != server_.table_.identity();
    if (send_with(response, wants_table ? server_.table_.descriptor() : -1) != sizeof response)
      return close();
    wait_for_request();
  }

  // `passed`: a descriptor for the module, or -1.
  ssize_t send_with(const mutua_local_response& response, int passed) {
    iovec part{const_cast<mutua_local_response*>(&response), sizeof response};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof passed)> control{};
    if (passed >= 0) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof passed);
      std::memcpy(CMSG_DATA(header), &passed, sizeof passed);
    }
    return sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  NssServer& server_;
  UniqueFd socket_;
  mutua_local_request request_{};
  std::size_t received_ = 0;
  bool asking_ = false, resting_ = false, closed_ = false;
  EventLoop::TimerKey timer_{};
};

Result<std::unique_ptr<NssServer>> NssServer::create(const std::filesystem::path& path,
                                                     EventLoop& loop, Names& names,
                                                     const NameTable& table) {
  const std::string what = "serve " + path.string();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.string().size() >= sizeof address.sun_path)
    return errorf("%s: the path is too long", what.c_str());
  std::memcpy(address.sun_path, path.c_str(), path.string().size());
  if (somebody_answers_at(address)) return errorf("%s: another daemon answers there", what.c_str());
  unlink(path.c_str());
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket ||
      bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      chmod(path.c_str(), 0666) != 0 || listen(socket.get(), SOMAXCONN) != 0) {
    return errno_error(errno, what);
  }
  auto server =
      std::unique_ptr<NssServer>(new NssServer(path, std::move(socket), loop, names, table));
  TRY(loop.add(server->socket_.get(), EPOLLIN, *server));
  return server;
}

NssServer::NssServer(std::filesystem::path path, UniqueFd socket, EventLoop& loop, Names& names,
                     const NameTable& table)
    : path_(std::move(path)),
      socket_(std::move(socket)),
      loop_(loop),
      names_(names),
      table_(table) {}

NssServer::~NssServer() {
  unlink(path_.c_str());
  loop_.remove(socket_.get());
  loop_.cancel(pause_);
  while (!connections_.empty()) std::shared_ptr(connections_.begin()->second)->close();
}

void NssServer::on_ready(std::uint32_t) {
  for (int i = 0; i < kAcceptedInOneTurn && connections_.size() < kMostConnections; ++i) {
    UniqueFd client(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!client) {
      if (errno == EMFILE || errno == ENFILE) pause();
      return;
    }
    const auto connection = std::make_shared<Connection>(*this, std::move(client));
    connections_.emplace(connection.get(), connection);
    connection->begin();
  }
  if (connections_.size() >= kMostConnections) loop_.change(socket_.get(), 0, *this);
}

// No descriptor is left: the backlog stays readable, so the loop would spin.
void NssServer::pause() {
  loop_.change(socket_.get(), 0, *this);
  pause_ = loop_.after(kPause, [this] {
    pause_ = {};
    loop_.change(socket_.get(), EPOLLIN, *this);
  });
}

void NssServer::forget(Connection& connection) {
  auto ended = connections_.extract(&connection);
  if (ended.empty()) return;
  if (connections_.size() == kMostConnections - 1) loop_.change(socket_.get(), EPOLLIN, *this);
  loop_.dispose(std::move(ended.mapped()));
}

}  // namespace mutua::resolver
