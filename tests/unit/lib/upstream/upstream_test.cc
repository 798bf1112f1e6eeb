#include "upstream/upstream.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <future>
#include <thread>

#include "base/unique_fd.h"

namespace mutua::upstream {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Bytes query(std::uint16_t id) {
  Bytes message;
  append_u16(message, id);
  append(message,
         Bytes{1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 4, 't', 'e', 's', 't', 0, 0, 1, 0, 1});
  return message;
}

// A nameserver on loopback, UDP and TCP on one port; the test plays its part.
class Nameserver {
 public:
  Nameserver() {
    for (int i = 0; i < 20 && !tcp_; ++i) {
      udp_ = bound(SOCK_DGRAM, SocketAddress::parse("127.0.0.1:0").value());
      sockaddr_storage storage{};
      socklen_t length = sizeof storage;
      ::getsockname(udp_.get(), reinterpret_cast<sockaddr*>(&storage), &length);
      address_ = SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), length);
      tcp_ = bound(SOCK_STREAM, address_);
    }
    EXPECT_EQ(::listen(tcp_.get(), 10), 0);
  }

  const SocketAddress& address() const { return address_; }

  Bytes receive() {
    Bytes octets(4096);
    peer_length_ = sizeof peer_;
    const ssize_t count = ::recvfrom(udp_.get(), octets.data(), octets.size(), 0,
                                     reinterpret_cast<sockaddr*>(&peer_), &peer_length_);
    octets.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return octets;
  }
  void reply(Bytes response, bool truncated = false) {
    response[2] = static_cast<std::uint8_t>(response[2] | 0x80 | (truncated ? 0x02 : 0));
    ::sendto(udp_.get(), response.data(), response.size(), 0,
             reinterpret_cast<const sockaddr*>(&peer_), peer_length_);
  }
  void reply_by_tcp(std::uint8_t rcode) {
    const UniqueFd connection(::accept(tcp_.get(), nullptr, nullptr));
    Bytes octets(2);
    ASSERT_EQ(::recv(connection.get(), octets.data(), 2, MSG_WAITALL), 2);
    octets.resize(2u + load_u16(octets.data()));
    ::recv(connection.get(), octets.data() + 2, octets.size() - 2, MSG_WAITALL);
    octets[4] |= 0x80;
    octets[5] = rcode;
    ASSERT_GT(::send(connection.get(), octets.data(), octets.size(), MSG_NOSIGNAL), 0);
    std::uint8_t rest;
    [[maybe_unused]] const ssize_t end = ::recv(connection.get(), &rest, 1, 0);
  }

 private:
  static UniqueFd bound(int type, const SocketAddress& address) {
    UniqueFd fd(::socket(AF_INET, type, 0));
    const timeval patience{10, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (::bind(fd.get(), address.data(), address.size()) != 0) fd.reset();
    return fd;
  }
  UniqueFd udp_, tcp_;
  SocketAddress address_;
  sockaddr_storage peer_{};
  socklen_t peer_length_ = 0;
};

std::future<Result<Bytes>> ask(Upstream& upstream, Bytes message) {
  auto promise = std::make_shared<std::promise<Result<Bytes>>>();
  auto future = promise->get_future();
  EXPECT_TRUE(upstream.ask(std::move(message), [promise](Result<Bytes> response) {
    promise->set_value(std::move(response));
  }));
  return future;
}

TEST(Upstream, TheResponseCarriesTheCallersId) {
  Nameserver server;
  const auto upstream = Upstream::create({server.address()}, seconds(5)).value();
  auto answer = ask(*upstream, query(0x1234));
  const Bytes received = server.receive();
  ASSERT_EQ(received.size(), query(0).size());
  server.reply(received);
  const auto response = answer.get();
  ASSERT_TRUE(response);
  EXPECT_EQ(load_u16(response->data()), 0x1234);
}

TEST(Upstream, TruncatedAnswersAreFetchedByTcp) {
  Nameserver server;
  const auto upstream = Upstream::create({server.address()}, seconds(5)).value();
  auto answer = ask(*upstream, query(1));
  server.reply(server.receive(), true);
  server.reply_by_tcp(3);
  const auto response = answer.get();
  ASSERT_TRUE(response);
  EXPECT_EQ((*response)[3] & 15, 3);
  EXPECT_EQ(load_u16(response->data()), 1);
}

Bytes long_response(Bytes to, std::size_t size) {
  to[2] |= 0x80;
  to.resize(size, 0x5a);
  return to;
}

// c-ares cuts what is longer than 512 octets unless it is told that queries may offer more.
TEST(Upstream, LongDatagramsComeWholeAndCutOnesAreFetchedByTcp) {
  Nameserver server;
  const auto upstream = Upstream::create({server.address()}, seconds(5)).value();
  for (const std::size_t size : {511u, 513u, 1232u, 4000u}) {
    auto answer = ask(*upstream, query(1));
    server.reply(long_response(server.receive(), size));
    const auto response = answer.get();
    ASSERT_TRUE(response) << size;
    EXPECT_EQ(response->size(), size);
  }
  for (const std::size_t size : {512u, 4097u}) {
    auto answer = ask(*upstream, query(1));
    server.reply(long_response(server.receive(), size));
    server.reply_by_tcp(3);
    const auto response = answer.get();
    ASSERT_TRUE(response) << size;
    EXPECT_EQ((*response)[3] & 15, 3) << size;
  }
}

TEST(Upstream, TheNextServerIsAskedWhereOneIsSilent) {
  Nameserver silent, server;
  const auto upstream = Upstream::create({silent.address(), server.address()}, seconds(2)).value();
  auto answer = ask(*upstream, query(1));
  server.reply(server.receive());
  EXPECT_TRUE(answer.get());
}

TEST(Upstream, SilenceEndsAtTheDeadline) {
  Nameserver server;
  const auto upstream = Upstream::create({server.address()}, milliseconds(300)).value();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(ask(*upstream, query(1)).get());
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(5));
}

TEST(Upstream, TheEndAnswersWhatIsUnderWay) {
  Nameserver server;
  auto upstream = Upstream::create({server.address()}, seconds(60)).value();
  auto answer = ask(*upstream, query(1));
  upstream.reset();
  EXPECT_FALSE(answer.get());
}

TEST(Upstream, TakesABoundedNumberAndNoNonsense) {
  Nameserver server;
  auto upstream = Upstream::create({server.address()}, seconds(60)).value();
  EXPECT_FALSE(upstream->ask({1, 2, 3}, [](Result<Bytes>) {}));
  std::atomic<int> ended{0};
  int taken = 0;
  for (std::size_t i = 0; i < Upstream::kMostInFlight + 100; ++i)
    taken += upstream->ask(query(1), [&](Result<Bytes>) { ++ended; });
  EXPECT_EQ(taken, static_cast<int>(Upstream::kMostInFlight));
  upstream.reset();
  EXPECT_EQ(ended, taken);
}

TEST(Upstream, NeedsAServer) { EXPECT_FALSE(Upstream::create({}, seconds(1))); }

}  // namespace
}  // namespace mutua::upstream
