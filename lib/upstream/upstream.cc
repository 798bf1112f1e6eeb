#include "upstream/upstream.h"

#include <ares.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <deque>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <unordered_map>
#include <utility>

#include "base/unique_fd.h"

namespace mutua::upstream {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kHeaderSize = 12;
constexpr std::uint8_t kTruncatedBit = 0x02;  // TC, in the third octet
constexpr int kTriesForEachServer = 2;
// c-ares cuts longer datagrams to the first of these, to the second after a FORMERR without an OPT.
constexpr int kLongestDatagram = 4096;
constexpr std::size_t kPlainDatagram = 512;

struct ChannelDelete {
  void operator()(ares_channel channel) const { ares_destroy(channel); }
};
using Channel = std::unique_ptr<std::remove_pointer_t<ares_channel>, ChannelDelete>;

// Guesses at a query's id and port are all that keeps a forged answer out, so the ids come from the
// kernel, not from a generator that could be computed.
std::uint16_t random_id() {
  static thread_local std::random_device device;
  return static_cast<std::uint16_t>(device());
}

class AresUpstream final : public Upstream {
 public:
  explicit AresUpstream(milliseconds timeout) : timeout_(timeout) {}

  ~AresUpstream() override {
    if (!thread_.joinable()) return;
    stopping_.store(true);
    wake();
    thread_.join();
  }

  Result<void> start(const std::vector<SocketAddress>& servers) {
    static const int library = ares_library_init(ARES_LIB_INIT_ALL);
    if (library != ARES_SUCCESS) return Error(std::string("c-ares: ") + ares_strerror(library));
    wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake_) return errno_error(errno, "eventfd");
    udp_ = TRY(open_channel(servers, ARES_FLAG_IGNTC));
    tcp_ = TRY(open_channel(servers, ARES_FLAG_USEVC));
    thread_ = std::thread([this] { run(); });
    return {};
  }

  bool ask(Bytes query, Done done) override {
    const bool one_question = query.size() > kHeaderSize && load_u16(query.data() + 4) == 1;
    if (!one_question) return false;
    if (in_flight_.fetch_add(1) >= kMostInFlight) {
      in_flight_.fetch_sub(1);
      return false;
    }
    {
      const std::lock_guard lock(mutex_);
      inbox_.push_back({std::move(query), std::move(done), steady_clock::now() + timeout_});
    }
    wake();
    return true;
  }

 private:
  struct Asked {
    Bytes query;
    Done done;
    steady_clock::time_point deadline;
  };

  // A query in the channel. Its id stays taken until c-ares is through with it, even when the
  // caller has been told that time is up: a late answer must not meet another question.
  struct Pending {
    std::uint16_t caller_id = 0;
    Bytes query;
    Done done;  // empty once called
    steady_clock::time_point deadline;
  };

  struct Query {  // what c-ares carries for us
    AresUpstream* upstream;
    std::uint16_t id;
    bool by_udp;
  };

  // TCP after a truncated answer is done here, not by c-ares: it would also take to TCP whatever is
  // longer than 512 octets, though the query offers more by EDNS.
  Result<Channel> open_channel(const std::vector<SocketAddress>& servers, int transport) {
    ares_options options{};
    // c-ares doubles the wait in each round over the servers: 1 + 2 parts of the timeout for each.
    const auto attempts = static_cast<long>(servers.size()) * ((1 << kTriesForEachServer) - 1);
    options.timeout =
        static_cast<int>(std::max(50L, static_cast<long>(timeout_.count()) / attempts));
    options.tries = kTriesForEachServer;
    options.sock_state_cb = &AresUpstream::on_socket_state;
    options.sock_state_cb_data = this;
    // The answer is the caller's to judge, whatever its RCODE. EDNS adds nothing to queries that
    // are given whole; it says how long a datagram may be.
    options.flags = ARES_FLAG_NOCHECKRESP | ARES_FLAG_EDNS | transport;
    options.ednspsz = kLongestDatagram;
    ares_channel opened = nullptr;
    int status = ares_init_options(&opened, &options,
                                   ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB |
                                       ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ);
    if (status != ARES_SUCCESS) return Error(std::string("c-ares: ") + ares_strerror(status));
    Channel channel(opened);

    std::vector<ares_addr_port_node> nodes(servers.size());
    for (std::size_t i = 0; i < servers.size(); ++i) {
      const BytesView address = servers[i].address_octets();
      nodes[i].next = i + 1 < servers.size() ? &nodes[i + 1] : nullptr;
      nodes[i].family = servers[i].family();
      nodes[i].udp_port = nodes[i].tcp_port = servers[i].port();
      std::copy(address.begin(), address.end(), reinterpret_cast<std::uint8_t*>(&nodes[i].addr));
    }
    status = ares_set_servers_ports(channel.get(), nodes.data());
    if (status != ARES_SUCCESS) return Error(std::string("c-ares: ") + ares_strerror(status));
    return channel;
  }

  void wake() {
    const std::uint64_t one = 1;
    // A full counter has woken the thread already.
    [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
  }

  void run() {
    while (!stopping_.load()) {
      for (Asked& asked : take_inbox()) send(std::move(asked));
      expire();
      wait_and_process();
    }
    udp_.reset();  // calls on_answer for each query that is still in it
    tcp_.reset();
    for (Asked& asked : take_inbox()) asked.done(Error("ask upstream: shut down"));
  }

  std::deque<Asked> take_inbox() {
    const std::lock_guard lock(mutex_);
    return std::exchange(inbox_, {});
  }

  void send(Asked asked) {
    std::uint16_t id = random_id();
    while (pending_.contains(id)) id = random_id();  // at most kMostInFlight of 65536 are taken
    const std::uint16_t caller_id = load_u16(asked.query.data());
    store_u16(asked.query.data(), id);
    const Bytes& query =
        (pending_[id] = {caller_id, std::move(asked.query), std::move(asked.done), asked.deadline})
            .query;
    send_by(udp_, id, query);
  }

  // `query` is copied before any call back can destroy it.
  void send_by(const Channel& channel, std::uint16_t id, const Bytes& query) {
    ares_send(channel.get(), query.data(), static_cast<int>(query.size()), &AresUpstream::on_answer,
              new Query{this, id, &channel == &udp_});
  }

  static void on_answer(void* context, int status, int, unsigned char* answer, int size) {
    const std::unique_ptr<Query> query(static_cast<Query*>(context));
    const BytesView response(answer, static_cast<std::size_t>(std::max(size, 0)));
    const bool perhaps_cut =
        response.size() == kPlainDatagram || response.size() == kLongestDatagram;
    const bool truncated = status == ARES_SUCCESS && response.size() >= kHeaderSize &&
                           (perhaps_cut || (response[2] & kTruncatedBit) != 0);
    if (query->by_udp && truncated)
      query->upstream->send_by(query->upstream->tcp_, query->id,
                               query->upstream->pending_.at(query->id).query);
    else
      query->upstream->finish(query->id, status, response);
  }

  void finish(std::uint16_t id, int status, BytesView answer) {
    auto node = pending_.extract(id);
    BASE_ASSERT(!node.empty());
    Pending& pending = node.mapped();
    in_flight_.fetch_sub(1);
    if (!pending.done) return;
    if (status != ARES_SUCCESS || answer.size() < kHeaderSize)
      return pending.done(Error(std::string("ask upstream: ") + ares_strerror(status)));
    Bytes response = to_bytes(answer);
    store_u16(response.data(), pending.caller_id);
    pending.done(std::move(response));
  }

  // c-ares' own time-outs add up to about ours, not exactly.
  void expire() {
    const auto now = steady_clock::now();
    for (auto& [id, pending] : pending_) {
      if (!pending.done || pending.deadline > now) continue;
      const Done done = std::exchange(pending.done, nullptr);
      done(Error("ask upstream: timed out"));
    }
  }

  void wait_and_process() {
    std::vector<pollfd> polled{{wake_.get(), POLLIN, 0}};
    for (const auto& [socket, events] : sockets_) polled.push_back({socket, events, 0});
    const int ready = ::poll(polled.data(), polled.size(), wait_milliseconds());
    if (ready < 0) return;  // EINTR: round again
    if (polled[0].revents != 0) {
      std::uint64_t count = 0;
      [[maybe_unused]] const ssize_t taken = ::read(wake_.get(), &count, sizeof count);
    }
    for (std::size_t i = 1; i < polled.size(); ++i) {
      const short events = polled[i].revents;
      const bool readable = (events & (POLLIN | POLLERR | POLLHUP)) != 0;
      const bool writable = (events & POLLOUT) != 0;
      if (!readable && !writable) continue;
      for (const Channel* channel : {&udp_, &tcp_})  // the one that it is not of passes over it
        ares_process_fd(channel->get(), readable ? polled[i].fd : ARES_SOCKET_BAD,
                        writable ? polled[i].fd : ARES_SOCKET_BAD);
    }
    for (const Channel* channel : {&udp_, &tcp_})  // their time-outs
      ares_process_fd(channel->get(), ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  }

  int wait_milliseconds() {
    timeval longest{60, 0}, by_udp{}, by_tcp{};
    const timeval* wait =
        ares_timeout(tcp_.get(), ares_timeout(udp_.get(), &longest, &by_udp), &by_tcp);
    auto milliseconds_left = wait->tv_sec * 1000L + wait->tv_usec / 1000 + 1;
    const auto now = steady_clock::now();
    for (const auto& [id, pending] : pending_) {
      if (!pending.done) continue;
      const auto left =
          std::chrono::duration_cast<milliseconds>(pending.deadline - now).count() + 1;
      milliseconds_left = std::min(milliseconds_left, std::max(left, 0L));
    }
    return static_cast<int>(milliseconds_left);
  }

  static void on_socket_state(void* context, ares_socket_t socket, int readable, int writable) {
    auto* upstream = static_cast<AresUpstream*>(context);
    const int events = (readable ? POLLIN : 0) | (writable ? POLLOUT : 0);
    if (events == 0)
      upstream->sockets_.erase(socket);
    else
      upstream->sockets_[socket] = static_cast<short>(events);
  }

  const milliseconds timeout_;
  UniqueFd wake_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::size_t> in_flight_{0};

  std::mutex mutex_;
  std::deque<Asked> inbox_;  // guarded by mutex_; bounded by in_flight_

  // The thread's own from here on. The channels go first: they call back into the others.
  std::map<ares_socket_t, short> sockets_;
  std::unordered_map<std::uint16_t, Pending> pending_;
  Channel udp_, tcp_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Upstream>> Upstream::create(const std::vector<SocketAddress>& servers,
                                                   milliseconds timeout) {
  if (servers.empty()) return Error("upstream: no server given");
  if (timeout <= milliseconds::zero()) return Error("upstream: no time given");
  auto upstream = std::make_unique<AresUpstream>(timeout);
  TRY(upstream->start(servers));
  return std::unique_ptr<Upstream>(std::move(upstream));
}

}  // namespace mutua::upstream
