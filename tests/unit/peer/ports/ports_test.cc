#include <gtest/gtest.h>

#include "peer/ports/address_pool.h"
#include "peer/ports/host_ports.h"

namespace mutua::peer {
namespace {

TEST(AddressPool, GivesTheLowestFreeAddressAndTakesItBack) {
  AddressPool pool(2);
  auto first = pool.take().value();
  EXPECT_EQ(first.address(), "10.0.0.1");
  const auto second = pool.take().value();
  EXPECT_EQ(second.address(), "10.0.0.2");
  EXPECT_FALSE(pool.take().ok());
  first = AddressPool::Lease();
  EXPECT_EQ(pool.take().value().address(), "10.0.0.1");
}

TEST(HostPorts, StayWithinTheRangeAndOffTheTakenOnes) {
  const std::vector<SocketAddress> addresses{SocketAddress::parse("127.0.0.1", 0).value(),
                                             SocketAddress::parse("127.0.0.2", 0).value()};
  const PortRange range = PortRange::parse("20100-20102").value();
  for (int round = 0; round < 20; ++round) {
    const auto port = pick_port(addresses, PortKind::tcp, range, {20100});
    if (!port.ok()) continue;  // somebody else's
    EXPECT_TRUE(*port == 20101 || *port == 20102) << *port;
  }
  EXPECT_FALSE(pick_port(addresses, PortKind::tcp, range, {20100, 20101, 20102}).ok());
  EXPECT_GT(pick_port(addresses, PortKind::udp, {}, {}).value(), 0);
}

TEST(HostPorts, RangesAreReadStrictly) {
  for (const char* text : {"", "1", "1-", "-1", "2-1", "0-5", "1-65536", "1-2x"}) {
    EXPECT_FALSE(PortRange::parse(text).ok()) << text;
  }
}

}  // namespace
}  // namespace mutua::peer
