#include "stub_client/stub_client.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "base/unique_fd.h"
#include "wire/message.h"

namespace mutua::stub_client {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

SocketAddress bound_address(int fd) {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size);
  return SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&bound), size);
}

wire::Message question() {
  wire::Message message;
  message.header.id = 4711;
  message.question.push_back(
      {wire::Name::parse("blog.fed.test").value(), wire::RRType::srv, wire::RRClass::in});
  return message;
}

// A nameserver whose UDP side answers as the test says and whose TCP side answers truly.
class Nameserver {
 public:
  using Udp = std::function<std::vector<Bytes>(const wire::Message& request, int count)>;
  explicit Nameserver(Udp udp) : udp_(std::move(udp)) {
    // A port that is free for UDP may be somebody's for TCP.
    bool is_bound = false;
    for (int attempt = 0; attempt < 100 && !is_bound; ++attempt) is_bound = bind_both();
    EXPECT_TRUE(is_bound);
    EXPECT_EQ(::listen(tcp_fd_.get(), 4), 0);
    udp_thread_ = std::thread([this] { serve_udp(); });
    tcp_thread_ = std::thread([this] { serve_tcp(); });
  }
  ~Nameserver() {
    ::shutdown(tcp_fd_.get(), SHUT_RDWR);
    ::shutdown(udp_fd_.get(), SHUT_RDWR);
    udp_thread_.join();
    tcp_thread_.join();
  }
  const SocketAddress& address() const { return address_; }

 private:
  bool bind_both() {
    const SocketAddress any = SocketAddress::parse("127.0.0.1", 0).value();
    udp_fd_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (::bind(udp_fd_.get(), any.data(), any.size()) != 0) return false;
    address_ = bound_address(udp_fd_.get());
    tcp_fd_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return ::bind(tcp_fd_.get(), address_.data(), address_.size()) == 0;
  }

  void serve_udp() {
    Bytes buffer(4096);
    for (int count = 1;; ++count) {
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      const ssize_t got = ::recvfrom(udp_fd_.get(), buffer.data(), buffer.size(), 0,
                                     reinterpret_cast<sockaddr*>(&from), &size);
      if (got <= 0) return;
      const auto request = wire::parse({buffer.data(), static_cast<std::size_t>(got)}).value();
      for (const Bytes& answer : udp_(request, count)) {
        ::sendto(udp_fd_.get(), answer.data(), answer.size(), 0,
                 reinterpret_cast<const sockaddr*>(&from), size);
      }
    }
  }
  void serve_tcp() {
    for (;;) {
      const UniqueFd connection(::accept(tcp_fd_.get(), nullptr, nullptr));
      if (!connection) return;
      Bytes buffer(70'000);
      std::size_t size = 0;
      while (size < 2 || size < 2U + load_u16(buffer.data())) {
        const ssize_t got = ::read(connection.get(), buffer.data() + size, buffer.size() - size);
        if (got <= 0) break;
        size += static_cast<std::size_t>(got);
      }
      const auto request = wire::parse(BytesView(buffer).subspan(2, size - 2)).value();
      wire::Message response = request.response(wire::Rcode::noerror);
      response.header.authoritative = true;  // tells TCP answers from UDP ones
      const Bytes bytes = response.to_wire();
      Bytes framed;
      append_u16(framed, static_cast<std::uint16_t>(bytes.size()));
      append(framed, bytes);
      // In two pieces, as a network may cut it.
      [[maybe_unused]] auto sent = ::send(connection.get(), framed.data(), 5, MSG_NOSIGNAL);
      sent = ::send(connection.get(), framed.data() + 5, framed.size() - 5, MSG_NOSIGNAL);
    }
  }

  Udp udp_;
  UniqueFd udp_fd_, tcp_fd_;
  SocketAddress address_;
  std::thread udp_thread_, tcp_thread_;
};

bool came_by_tcp(const Result<Bytes>& response) {
  return wire::parse(response.value()).value().header.authoritative;
}

TEST(StubClient, ForgeriesArePassedOverForTheTrueAnswer) {
  Nameserver server([](const wire::Message& request, int) {
    wire::Message other_id = request.response(wire::Rcode::noerror);
    ++other_id.header.id;
    wire::Message other_question = request.response(wire::Rcode::noerror);
    other_question.question[0].type = wire::RRType::a;
    wire::Message no_response = request;
    const Bytes garbage{1, 2, 3};
    return std::vector<Bytes>{other_id.to_wire(), other_question.to_wire(), no_response.to_wire(),
                              garbage, request.response(wire::Rcode::nxdomain).to_wire()};
  });
  const auto response = exchange(server.address(), question().to_wire(), milliseconds(5000));
  EXPECT_EQ(wire::parse(response.value()).value().header.rcode, wire::Rcode::nxdomain);
}

TEST(StubClient, ALostDatagramIsSentAgain) {
  Nameserver server([](const wire::Message& request, int count) {
    if (count < 3) return std::vector<Bytes>();
    return std::vector<Bytes>{request.response(wire::Rcode::noerror).to_wire()};
  });
  const auto response = exchange(server.address(), question().to_wire(), milliseconds(400));
  EXPECT_FALSE(came_by_tcp(response));
}

TEST(StubClient, ATruncatedAnswerIsAskedForAgainByTcp) {
  Nameserver server([](const wire::Message& request, int) {
    wire::Message truncated = request.response(wire::Rcode::noerror);
    truncated.header.truncated = true;
    return std::vector<Bytes>{truncated.to_wire()};
  });
  EXPECT_TRUE(came_by_tcp(exchange(server.address(), question().to_wire(), milliseconds(5000))));
}

TEST(StubClient, ALongMessageGoesByTcpAtOnce) {
  Nameserver server([](const wire::Message&, int) { return std::vector<Bytes>(); });
  wire::Message update = question();
  for (int index = 0; index < 30; ++index) {
    update.authority.push_back({wire::Name::parse("a" + std::to_string(index) + ".test").value(),
                                wire::RRType::txt, wire::RRClass::in, 0, Bytes(51, 50)});
  }
  EXPECT_TRUE(came_by_tcp(exchange(server.address(), update.to_wire(), milliseconds(5000))));
  EXPECT_TRUE(came_by_tcp(
      exchange(server.address(), question().to_wire(), milliseconds(5000), Transport::tcp)));
}

TEST(StubClient, SilenceEndsAtTheDeadlineAndNamesTheServer) {
  Nameserver server([](const wire::Message&, int) { return std::vector<Bytes>(); });
  const auto before = std::chrono::steady_clock::now();
  const auto response = exchange(server.address(), question().to_wire(), milliseconds(200));
  EXPECT_THAT(response.error().message(), HasSubstr(server.address().to_text()));
  EXPECT_GE(std::chrono::steady_clock::now() - before, milliseconds(200));
}

TEST(StubClient, ANameserverThatIsNotThereIsAnError) {
  SocketAddress nobody;
  {
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const SocketAddress any = SocketAddress::parse("127.0.0.1", 0).value();
    ASSERT_EQ(::bind(fd.get(), any.data(), any.size()), 0);
    nobody = bound_address(fd.get());
  }
  EXPECT_FALSE(exchange(nobody, question().to_wire(), milliseconds(500)).ok());
  EXPECT_FALSE(exchange(nobody, question().to_wire(), milliseconds(500), Transport::tcp).ok());
  EXPECT_FALSE(exchange(nobody, Bytes{1, 2}, milliseconds(500)).ok());
}

}  // namespace
}  // namespace mutua::stub_client
