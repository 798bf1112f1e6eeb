#include "authority/server/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <condition_variable>
#include <mutex>
#include <string>

#include "authority/zone/master_file.h"
#include "wire/message.h"

namespace mutua::authority {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::SizeIs;
using wire::Name;
using wire::Rcode;
using wire::RRType;

constexpr milliseconds kPatience = seconds(10);

std::shared_ptr<const ZoneVersion> zone() {
  std::string text = "$TTL 300\n@ SOA ns h 1 1 1 1 1\n@ NS ns\nns A 127.0.0.1\na A 192.0.2.1\n";
  for (int i = 0; i < 200; ++i)
    text += "big TXT \"" + std::to_string(i) + std::string(200, 'x') + "\"\n";
  const Name apex = Name::parse("fed.test").value();
  return ZoneVersion::create(apex, parse_master_file(text, "test", apex).value()).value();
}

Bytes query(std::uint16_t id, const std::string& name = "a.fed.test", RRType type = RRType::a) {
  wire::Message message;
  message.header.id = id;
  message.question.push_back({Name::parse(name).value(), type, wire::RRClass::in});
  return message.to_wire();
}

Bytes update(std::uint16_t id) {
  Bytes message = query(id, "fed.test", RRType::soa);
  message[2] = 5 << 3;
  return message;
}

Bytes framed(const Bytes& message) {
  Bytes out;
  append_u16(out, static_cast<std::uint16_t>(message.size()));
  append(out, message);
  return out;
}

// Keeps what is handed over until a test answers it.
class Desk {
 public:
  Taker taker() {
    return [this](Handover handover) {
      const std::lock_guard lock(mutex_);
      if (closed_) return false;
      papers_.push_back(std::move(handover));
      arrived_.notify_all();
      return true;
    };
  }
  Handover next() {
    std::unique_lock lock(mutex_);
    const bool came = arrived_.wait_for(lock, kPatience, [&] { return !papers_.empty(); });
    EXPECT_TRUE(came);
    if (!came) return {};
    Handover first = std::move(papers_.front());
    papers_.erase(papers_.begin());
    return first;
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<Handover> papers_;
  bool closed_ = false;
};

// A client's socket.
class Client {
 public:
  Client(const SocketAddress& server, int type, const char* source = nullptr)
      : fd_(::socket(server.family(), type, 0)) {
    if (source) {
      const auto own = SocketAddress::parse(source, 0).value();
      EXPECT_EQ(::bind(fd_.get(), own.data(), own.size()), 0);
    }
    EXPECT_EQ(::connect(fd_.get(), server.data(), server.size()), 0);
    const timeval patience{kPatience / seconds(1), 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  int fd() const { return fd_.get(); }
  void send(const Bytes& octets) {
    EXPECT_EQ(::send(fd_.get(), octets.data(), octets.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(octets.size()));
  }
  Bytes datagram() {
    Bytes octets(65536);
    const ssize_t count = ::recv(fd_.get(), octets.data(), octets.size(), 0);
    octets.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return octets;
  }
  // One message of a TCP stream; empty at its end.
  Bytes message() {
    const Bytes size = exactly(2);
    return size.empty() ? Bytes() : exactly(load_u16(size.data()));
  }
  bool ends() {
    std::uint8_t octet;
    const ssize_t count = ::recv(fd_.get(), &octet, 1, 0);
    return count == 0 || (count < 0 && errno == ECONNRESET);
  }

 private:
  Bytes exactly(std::size_t size) {
    Bytes octets(size);
    const ssize_t count = ::recv(fd_.get(), octets.data(), size, MSG_WAITALL);
    return count == static_cast<ssize_t>(size) ? octets : Bytes();
  }
  UniqueFd fd_;
};

class ServerTest : public testing::Test {
 protected:
  void serve(const std::string& address = "127.0.0.1:0", TcpLimits limits = {},
             unsigned workers = 1, bool forwards = false) {
    config_.listen = {SocketAddress::parse(address).value()};
    config_.tcp = limits;
    config_.udp_workers = workers;
    server_ = Server::create(config_, catalog_, takers(forwards)).value();
    server_->start();
  }
  Takers takers(bool forwards = false) {
    return {updates_.taker(),
            forwards ? questions_.taker() : Taker(),
            {},
            [](BytesView, BytesView response) { return to_bytes(response); },
            {},
            nullptr,
            nullptr};
  }
  SocketAddress address() const { return server_->addresses().front(); }
  SocketAddress address(const std::string& host) const {
    return SocketAddress::parse(host, address().port()).value();
  }

  Catalog catalog_{zone()};
  Desk updates_, questions_;
  ServerConfig config_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, AnswersDatagrams) {
  serve("127.0.0.1:0", {}, 3);
  for (std::uint16_t id = 1; id <= 50; ++id) {
    Client client(address(), SOCK_DGRAM);
    client.send(query(id));
    const auto response = wire::parse(client.datagram()).value();
    EXPECT_EQ(response.header.id, id);
    EXPECT_THAT(response.answer, SizeIs(1));
  }
}

TEST_F(ServerTest, WhatTheGateRefusesGoesNoFurther) {
  config_.listen = {SocketAddress::parse("127.0.0.1:0").value()};
  Takers all = takers();
  all.gate = [](BytesView message) { return load_u16(message.data()) != 1; };
  server_ = Server::create(config_, catalog_, std::move(all)).value();
  server_->start();
  Client client(address(), SOCK_DGRAM);
  for (const int id : {1, 2}) {
    wire::Message update;
    update.header.id = static_cast<std::uint16_t>(id);
    update.header.opcode = wire::Opcode::update;
    update.question.push_back({zone()->apex(), wire::RRType::soa, wire::RRClass::in});
    client.send(update.to_wire());
  }
  EXPECT_EQ(load_u16(updates_.next().message.data()), 2);
}

TEST_F(ServerTest, AnswersManyDatagramsOfOneClient) {
  serve();
  Client client(address(), SOCK_DGRAM);
  for (std::uint16_t id = 0; id < 200; ++id) client.send(query(id));
  std::vector<bool> seen(200);
  for (int i = 0; i < 200; ++i) seen.at(wire::parse(client.datagram()).value().header.id) = true;
  EXPECT_THAT(seen, testing::Each(true));
}

TEST_F(ServerTest, StaysSilentWhereItMust) {
  serve();
  Client client(address(), SOCK_DGRAM);
  Bytes response = query(1);
  response[2] |= 0x80;
  client.send({1, 2, 3});
  client.send(response);
  client.send(query(7));
  EXPECT_EQ(wire::parse(client.datagram()).value().header.id, 7);
}

// A connected socket takes datagrams from the very address that it asked only.
TEST_F(ServerTest, RepliesFromTheAddressThatWasAsked) {
  serve("0.0.0.0:0");
  for (const char* host : {"127.0.0.1", "127.0.0.2", "127.9.9.9"}) {
    Client client(address(host), SOCK_DGRAM);
    client.send(query(1));
    EXPECT_THAT(client.datagram(), testing::Not(testing::IsEmpty())) << host;
    client.send(update(2));
    updates_.next().reply(query(2));
    EXPECT_THAT(client.datagram(), testing::Not(testing::IsEmpty())) << host;
  }
}

TEST_F(ServerTest, SpeaksIpv6) {
  serve("[::]:0");
  Client udp(address("[::1]"), SOCK_DGRAM);
  udp.send(query(1));
  EXPECT_THAT(wire::parse(udp.datagram()).value().answer, SizeIs(1));
  Client tcp(address("[::1]"), SOCK_STREAM);
  tcp.send(framed(query(2)));
  EXPECT_THAT(wire::parse(tcp.message()).value().answer, SizeIs(1));
}

TEST_F(ServerTest, HandsUpdatesOverAndSendsTheLateReply) {
  serve();
  Client client(address(), SOCK_DGRAM);
  const Bytes message = update(9);
  client.send(message);
  Handover handover = updates_.next();
  EXPECT_EQ(handover.message, message);
  EXPECT_EQ(handover.transport, Transport::udp);
  EXPECT_EQ(handover.source.address_to_text(), "127.0.0.1");
  client.send(query(10));  // does not wait for the update
  EXPECT_EQ(wire::parse_header(client.datagram())->id, 10);
  handover.reply(query(9));
  EXPECT_EQ(client.datagram(), query(9));
}

TEST_F(ServerTest, RepliesMayOutliveTheServer) {
  serve();
  Client udp(address(), SOCK_DGRAM), tcp(address(), SOCK_STREAM);
  udp.send(update(1));
  Handover first = updates_.next();
  tcp.send(framed(update(2)));
  Handover second = updates_.next();
  server_.reset();
  first.reply(query(1));
  EXPECT_EQ(udp.datagram(), query(1));
  second.reply(query(2));  // goes nowhere, harms nothing
}

TEST_F(ServerTest, ForwardsOnlyWhatAsksForRecursion) {
  serve("127.0.0.1:0", {}, 1, true);
  Client client(address(), SOCK_DGRAM);
  Bytes message = query(1, "www.example.org");
  client.send(message);
  const auto refused = wire::parse(client.datagram()).value();
  EXPECT_EQ(refused.header.rcode, Rcode::refused);
  EXPECT_TRUE(refused.header.recursion_available);
  message[2] |= 1;  // RD
  client.send(message);
  questions_.next().reply(query(1));
  EXPECT_EQ(client.datagram(), query(1));
}

TEST_F(ServerTest, PipelinesTcp) {
  serve();
  Client client(address(), SOCK_STREAM);
  Bytes all;
  for (std::uint16_t id = 0; id < 500; ++id) append(all, framed(query(id)));
  client.send(all);
  for (std::uint16_t id = 0; id < 500; ++id) {
    const auto response = wire::parse(client.message()).value();
    EXPECT_EQ(response.header.id, id);
    EXPECT_THAT(response.answer, SizeIs(1));
  }
}

TEST_F(ServerTest, TcpResponsesLeaveAsTheyAreReady) {
  serve();
  Client client(address(), SOCK_STREAM);
  Bytes all = framed(update(1));
  append(all, framed(query(2)));
  client.send(all);
  EXPECT_EQ(wire::parse_header(client.message())->id, 2);
  updates_.next().reply(query(1));
  EXPECT_EQ(client.message(), query(1));
}

TEST_F(ServerTest, TcpMessagesMayComeInPieces) {
  serve();
  Client client(address(), SOCK_STREAM);
  const int on = 1;
  ::setsockopt(client.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  for (const std::uint8_t octet : framed(query(1))) client.send({octet});
  EXPECT_EQ(wire::parse_header(client.message())->id, 1);
}

TEST_F(ServerTest, AnswersAllThatCameBeforeTheClientFinished) {
  serve();
  Client client(address(), SOCK_STREAM);
  Bytes all = framed(update(1));
  for (std::uint16_t id = 2; id < 12; ++id)
    append(all, framed(query(id, "big.fed.test", RRType::txt)));
  client.send(all);
  ::shutdown(client.fd(), SHUT_WR);
  for (std::uint16_t id = 2; id < 12; ++id) EXPECT_EQ(wire::parse_header(client.message())->id, id);
  updates_.next().reply(query(1));
  EXPECT_EQ(client.message(), query(1));
  EXPECT_TRUE(client.ends());
}

TEST_F(ServerTest, ClosesWhatIsIdleOrDribbles) {
  serve("127.0.0.1:0", {.connections = 10, .idle = milliseconds(1000)});
  Client idle(address(), SOCK_STREAM), half(address(), SOCK_STREAM);
  half.send({0, 40, 1, 2, 3});
  EXPECT_TRUE(idle.ends());
  EXPECT_TRUE(half.ends());
}

TEST_F(ServerTest, ClosesWhoDoesNotReadAndServesOthersMeanwhile) {
  serve("127.0.0.1:0", {.connections = 10, .idle = milliseconds(1000)});
  Client greedy(address(), SOCK_STREAM), other(address(), SOCK_STREAM);
  Bytes many;
  for (std::uint16_t id = 0; id < 300; ++id)
    append(many, framed(query(id, "big.fed.test", RRType::txt)));
  const timeval moment{0, 100'000};
  ::setsockopt(greedy.fd(), SOL_SOCKET, SO_SNDTIMEO, &moment, sizeof moment);
  ssize_t accepted = 1;
  for (int i = 0; i < 5000 && accepted > 0; ++i)  // until the server takes no more
    accepted = ::send(greedy.fd(), many.data(), many.size(), MSG_NOSIGNAL);
  EXPECT_LE(accepted, 0);
  other.send(framed(query(1)));
  EXPECT_EQ(wire::parse_header(other.message())->id, 1);
  pollfd poll{greedy.fd(), 0, 0};
  EXPECT_EQ(::poll(&poll, 1, static_cast<int>(kPatience.count())), 1);
  EXPECT_NE(poll.revents & (POLLHUP | POLLERR), 0);
}

TEST_F(ServerTest, OneSourceGetsAQuarterOfTheConnections) {
  serve("127.0.0.1:0", {.connections = 4, .idle = seconds(60)});
  std::vector<std::unique_ptr<Client>> clients;
  for (std::uint16_t id = 0; id < 2; ++id) {  // a quarter and one
    clients.push_back(std::make_unique<Client>(address(), SOCK_STREAM));
    clients.back()->send(framed(query(id)));
    EXPECT_EQ(wire::parse_header(clients.back()->message())->id, id);
  }
  Client third(address(), SOCK_STREAM), other(address(), SOCK_STREAM, "127.0.0.2");
  EXPECT_TRUE(third.ends());
  other.send(framed(query(9)));
  EXPECT_EQ(wire::parse_header(other.message())->id, 9);
}

TEST_F(ServerTest, TheLongestIdleConnectionMakesRoom) {
  serve("127.0.0.1:0", {.connections = 3, .idle = seconds(60)});
  std::vector<std::unique_ptr<Client>> clients;
  std::uint16_t id = 0;
  const auto exchange = [&](Client& client) {
    client.send(framed(query(++id)));
    EXPECT_EQ(wire::parse_header(client.message())->id, id);
  };
  for (const char* source : {"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"}) {
    clients.push_back(std::make_unique<Client>(address(), SOCK_STREAM, source));
    exchange(*clients.back());
    if (clients.size() == 3) exchange(*clients[0]);
  }
  EXPECT_TRUE(clients[1]->ends());
  exchange(*clients[0]);
  exchange(*clients[2]);
}

TEST_F(ServerTest, ATcpConnectionEndsWhereItsMessageCannotBeTaken) {
  serve();
  updates_.close();
  Client client(address(), SOCK_STREAM);
  client.send(framed(update(1)));
  EXPECT_TRUE(client.ends());
}

TEST_F(ServerTest, ASecondServerOnTheSamePortDoesNotStart) {
  serve();
  ServerConfig same;
  same.listen = {address()};
  EXPECT_FALSE(Server::create(same, catalog_, takers()));
}

}  // namespace
}  // namespace mutua::authority
