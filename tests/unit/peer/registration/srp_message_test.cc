#include "peer/registration/srp_message.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "trust/peer_id.h"
#include "wire/rdata.h"

namespace mutua::peer {
namespace {

using wire::RRClass;
using wire::RRType;

class Srp : public ::testing::Test {
 protected:
  SrpMessages messages() const {
    return SrpMessages(ZoneNames(wire::Name::parse("fed.test").value()),
                       {key_.public_key(), {SocketAddress::parse("127.0.1.1", 0).value()}, 5000, 8},
                       std::chrono::seconds(60));
  }
  Commitment commitment() const {
    return {wire::Name::parse("blog.fed.test").value(), 80, "tcp", 20001, trust::sha256(Bytes{1})};
  }
  static bool has(const wire::Message& message, const std::string& owner, RRType type,
                  RRClass rclass) {
    const wire::Name name = wire::Name::parse(owner).value();
    return std::ranges::any_of(message.authority, [&](const wire::Record& record) {
      return record.owner == name && record.type == type && record.rclass == rclass;
    });
  }

  trust::PrivateKey key_ = trust::PrivateKey::generate(trust::Algorithm::ed25519).value();
  std::string peer_ = trust::peer_id(key_.public_key());
};

TEST_F(Srp, ARegistrationDescribesHostExchangeAndCommitments) {
  const wire::Message message = messages().registration({commitment()}, Lease::renew).value();
  EXPECT_TRUE(message.answer.empty());
  const std::string host = peer_ + ".peers.fed.test";
  const std::string instance = peer_ + "._80._tcp.blog.fed.test";
  EXPECT_TRUE(has(message, host, RRType::any, RRClass::any));
  EXPECT_TRUE(has(message, host, RRType::key, RRClass::in));
  EXPECT_TRUE(has(message, host, RRType::a, RRClass::in));
  EXPECT_TRUE(has(message, "_mutua._tcp.fed.test", RRType::ptr, RRClass::in));
  EXPECT_TRUE(has(message, peer_ + "._mutua._tcp.fed.test", RRType::srv, RRClass::in));
  EXPECT_TRUE(has(message, instance, RRType::any, RRClass::any));
  EXPECT_TRUE(has(message, instance, RRType::srv, RRClass::in));
  EXPECT_TRUE(has(message, instance, RRType::txt, RRClass::in));
  EXPECT_TRUE(has(message, "_80._tcp.blog.fed.test", RRType::ptr, RRClass::in));
  const auto lease =
      wire::parse_update_lease(message.edns->find(wire::edns_code::update_lease)->data);
  EXPECT_EQ(lease->lease, std::chrono::seconds(60));
  EXPECT_EQ(lease->key_lease, std::chrono::hours(14 * 24));
}

TEST_F(Srp, AWithdrawalRemovesTheInstanceAndItsPointerAlone) {
  const wire::Message message = messages().withdrawal(commitment()).value();
  const std::string instance = peer_ + "._80._tcp.blog.fed.test";
  EXPECT_TRUE(has(message, instance, RRType::any, RRClass::any));
  EXPECT_FALSE(has(message, instance, RRType::srv, RRClass::in));
  EXPECT_TRUE(has(message, "_80._tcp.blog.fed.test", RRType::ptr, RRClass::none));
  EXPECT_FALSE(has(message, peer_ + "._mutua._tcp.fed.test", RRType::any, RRClass::any));
}

TEST_F(Srp, TheEndOfAllHasALeaseOfZero) {
  const wire::Message message = messages().registration({}, Lease::remove).value();
  const auto lease =
      wire::parse_update_lease(message.edns->find(wire::edns_code::update_lease)->data);
  EXPECT_EQ(lease->lease, std::chrono::seconds(0));
}

}  // namespace
}  // namespace mutua::peer
