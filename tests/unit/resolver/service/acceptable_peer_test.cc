#include "resolver/service/acceptable_peer.h"

#include <gtest/gtest.h>

namespace mutua::resolver {
namespace {

bool acceptable(const char* text, LoopbackPeers loopback = LoopbackPeers::no) {
  return is_acceptable_peer(SocketAddress::parse(text).value(),
                            Ipv4Range::parse("127.192.0.0/10").value(), loopback);
}

TEST(AcceptablePeer, OrdinaryAddressesAre) {
  for (const char* address : {"192.0.2.1:80", "10.1.2.3:80", "[2001:db8::1]:80", "[fe80::1]:80"}) {
    EXPECT_TRUE(acceptable(address)) << address;
  }
}

TEST(AcceptablePeer, AddressesThatAreNobodysAreNot) {
  for (const char* address :
       {"0.0.0.0:80", "0.1.2.3:80", "224.0.0.1:80", "255.255.255.255:80", "[::]:80", "[ff02::1]:80",
        "[::ffff:127.0.0.1]:80", "[::ffff:192.0.2.1]:80"}) {
    EXPECT_FALSE(acceptable(address, LoopbackPeers::yes)) << address;
  }
}

TEST(AcceptablePeer, TheClientsOwnMachineOnlyWhereAskedForAndTheRelayNever) {
  EXPECT_FALSE(acceptable("127.0.0.1:80"));
  EXPECT_FALSE(acceptable("[::1]:80"));
  EXPECT_TRUE(acceptable("127.0.0.1:80", LoopbackPeers::yes));
  EXPECT_TRUE(acceptable("[::1]:80", LoopbackPeers::yes));
  EXPECT_FALSE(acceptable("127.200.0.1:80", LoopbackPeers::yes));
}

}  // namespace
}  // namespace mutua::resolver
