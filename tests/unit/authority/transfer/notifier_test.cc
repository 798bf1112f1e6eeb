#include "authority/transfer/notifier.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include "authority/zone/master_file.h"
#include "base/unique_fd.h"
#include "wire/message.h"
#include "wire/rdata.h"
#include "wire/tsig.h"

namespace mutua::authority {
namespace {

using std::chrono::milliseconds;
using wire::Name;
using wire::RRType;

constexpr int kPatience = 10'000;  // ms

std::shared_ptr<const ZoneVersion> zone(std::uint32_t serial) {
  const Name apex = Name::parse("fed.test").value();
  const std::string text =
      "$TTL 300\n@ SOA ns h " + std::to_string(serial) + " 1 1 1 1\n@ NS ns\nns A 127.0.0.1\n";
  return ZoneVersion::create(apex, parse_master_file(text, "test", apex).value()).value();
}

class NotifierTest : public testing::Test {
 protected:
  NotifierTest() : socket_(::socket(AF_INET, SOCK_DGRAM, 0)) {
    const auto any = SocketAddress::parse("127.0.0.1:0").value();
    EXPECT_EQ(::bind(socket_.get(), any.data(), any.size()), 0);
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&bound), &size);
    address_ = SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&bound), size);
  }

  void start(std::optional<wire::TsigKey> key = std::nullopt, NotifyTimes times = {}) {
    notifier_ =
        Notifier::create({{address_, std::move(key)}}, catalog_, system_clock(), times).value();
    notifier_->start();
  }

  void publish(std::uint32_t serial) {
    catalog_.publish(zone(serial));
    notifier_->zone_changed();
  }

  // The next NOTIFY; its serial.
  std::uint32_t receive() {
    pollfd ready{socket_.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&ready, 1, kPatience), 1);
    octets_.resize(4096);
    peer_size_ = sizeof peer_;
    const ssize_t got = ::recvfrom(socket_.get(), octets_.data(), octets_.size(), 0,
                                   reinterpret_cast<sockaddr*>(&peer_), &peer_size_);
    octets_.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    const auto message = wire::parse(octets_).value();
    EXPECT_EQ(message.header.opcode, wire::Opcode::notify);
    EXPECT_TRUE(message.header.authoritative);
    EXPECT_EQ(message.question.front().type, RRType::soa);
    return wire::parse_soa(message.answer.front().rdata).value().serial;
  }

  void acknowledge(std::uint16_t id_change = 0) {
    Bytes response = wire::parse(octets_).value().response(wire::Rcode::noerror).to_wire();
    store_u16(response.data(), load_u16(response.data()) ^ id_change);
    ::sendto(socket_.get(), response.data(), response.size(), 0,
             reinterpret_cast<sockaddr*>(&peer_), peer_size_);
  }

  bool is_quiet(milliseconds time) {
    pollfd ready{socket_.get(), POLLIN, 0};
    return ::poll(&ready, 1, static_cast<int>(time.count())) == 0;
  }

  Catalog catalog_{zone(1)};
  UniqueFd socket_;
  SocketAddress address_;
  Bytes octets_;
  sockaddr_storage peer_{};
  socklen_t peer_size_ = 0;
  std::unique_ptr<Notifier> notifier_;
};

TEST_F(NotifierTest, SaysTheSerialAtTheStartAndAtEachChange) {
  start();
  EXPECT_EQ(receive(), 1u);
  acknowledge();
  publish(2);
  EXPECT_EQ(receive(), 2u);
  acknowledge();
  EXPECT_TRUE(is_quiet(milliseconds(700)));  // longer than the first retry
}

TEST_F(NotifierTest, RepeatsUntilTheRightAnswerComes) {
  start(std::nullopt, {milliseconds(1), milliseconds(20), 5});
  EXPECT_EQ(receive(), 1u);
  acknowledge(0x5555);  // somebody else's
  EXPECT_EQ(receive(), 1u);
  acknowledge();
  EXPECT_TRUE(is_quiet(milliseconds(300)));
}

TEST_F(NotifierTest, GivesUpOnOneThatNeverAnswers) {
  start(std::nullopt, {milliseconds(1), milliseconds(5), 3});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(receive(), 1u);
  EXPECT_TRUE(is_quiet(milliseconds(300)));
  publish(2);
  EXPECT_EQ(receive(), 2u);
}

TEST_F(NotifierTest, ChangesInQuickSuccessionShareOne) {
  start(std::nullopt, {milliseconds(200), milliseconds(5000), 3});
  EXPECT_EQ(receive(), 1u);
  acknowledge();
  for (std::uint32_t serial = 2; serial <= 50; ++serial) publish(serial);
  EXPECT_EQ(receive(), 50u);
  acknowledge();
  EXPECT_TRUE(is_quiet(milliseconds(300)));
}

TEST_F(NotifierTest, WithAKeyItSignsAndHeedsOnlyWhatIsSigned) {
  start(wire::TsigKey{Name::parse("k").value(), "hmac-sha256", Bytes(32, 7)},
        {milliseconds(1), milliseconds(20), 4});
  EXPECT_EQ(receive(), 1u);
  const auto message = wire::parse(octets_).value();
  ASSERT_TRUE(message.signature_offset);
  EXPECT_EQ(wire::read_tsig(octets_, message).value().key_name, Name::parse("k").value());
  acknowledge();  // without a signature
  EXPECT_EQ(receive(), 1u);
}

}  // namespace
}  // namespace mutua::authority
