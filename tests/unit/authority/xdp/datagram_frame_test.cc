#include "authority/xdp/datagram_frame.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <random>

namespace mutua::authority {
namespace {

constexpr std::size_t kIpAt = 14;

struct Sample {
  Bytes frame;
  std::size_t ip_size;
};

Sample ipv4(std::size_t message_size, std::size_t padding = 0) {
  Bytes frame{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00};
  append(frame, Bytes{0x45, 0, 0, 0, 0, 7, 0, 0, 64, 17, 0, 0, 192, 0, 2, 9, 192, 0, 2, 1});
  store_u16(frame.data() + 16, static_cast<std::uint16_t>(28 + message_size));
  append(frame, Bytes{0x12, 0x34, 0, 53, 0, 0, 0, 0});
  store_u16(frame.data() + 38, static_cast<std::uint16_t>(8 + message_size));
  for (std::size_t i = 0; i < message_size; ++i) frame.push_back(static_cast<std::uint8_t>(i));
  frame.resize(frame.size() + padding);
  return {frame, 20};
}

Sample ipv6(std::size_t message_size) {
  Bytes frame{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd};
  append(frame, Bytes{0x60, 0, 0, 0, 0, 0, 17, 64});
  store_u16(frame.data() + 18, static_cast<std::uint16_t>(8 + message_size));
  append(frame, Bytes{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9});
  append(frame, Bytes{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
  append(frame, Bytes{0x12, 0x34, 0, 53, 0, 0, 0, 0});
  store_u16(frame.data() + 58, static_cast<std::uint16_t>(8 + message_size));
  for (std::size_t i = 0; i < message_size; ++i) frame.push_back(static_cast<std::uint8_t>(i));
  return {frame, 40};
}

// As RFC 1071 describes it, two octets at a time.
std::uint32_t plain_sum(BytesView octets) {
  std::uint32_t total = 0;
  for (std::size_t i = 0; i < octets.size(); ++i)
    total += i % 2 == 0 ? static_cast<std::uint32_t>(octets[i]) << 8 : octets[i];
  return total;
}
std::uint16_t folded(std::uint32_t total) {
  while (total >> 16 != 0) total = (total & 0xffff) + (total >> 16);
  return static_cast<std::uint16_t>(total);
}

void expect_right_checksums(BytesView frame, std::size_t ip_size) {
  const BytesView ip = frame.subspan(kIpAt, ip_size), udp = frame.subspan(kIpAt + ip_size);
  if (ip_size == 20) {
    EXPECT_EQ(folded(plain_sum(ip)), 0xffff);
  }
  const BytesView addresses = ip.last(ip_size == 20 ? 8 : 32);
  const std::uint32_t pseudo = plain_sum(addresses) + 17 + load_u16(udp.data() + 4);
  EXPECT_EQ(folded(pseudo + plain_sum(udp)), 0xffff);
  EXPECT_NE(load_u16(udp.data() + 6), 0);
}

TEST(DatagramFrame, ReadsBothFamiliesAndLeavesOutThePadding) {
  for (const Sample& sample : {ipv4(33, 5), ipv6(33)}) {
    const auto read = read_datagram(sample.frame);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->message.size(), 33u);
    EXPECT_EQ(read->message[32], 32);
    EXPECT_EQ(read->source_port, 0x1234);
    EXPECT_EQ(read->destination_port, 53);
    EXPECT_EQ(read->source.back(), 9);
    EXPECT_EQ(read->destination.back(), 1);
    EXPECT_EQ(read->header_size, kIpAt + sample.ip_size + 8);
  }
}

TEST(DatagramFrame, NothingOfWhatIsCutOrLiesAboutItsSize) {
  for (const Sample& sample : {ipv4(33), ipv6(33)}) {
    for (std::size_t size = 0; size < sample.frame.size(); ++size)
      EXPECT_FALSE(read_datagram(BytesView(sample.frame).first(size))) << size;
    const std::size_t udp_size_at = kIpAt + sample.ip_size + 4;
    for (const int lie : {0, 7, 42, 0xffff}) {
      Bytes frame = sample.frame;
      store_u16(frame.data() + udp_size_at, static_cast<std::uint16_t>(lie));
      EXPECT_FALSE(read_datagram(frame)) << lie;
    }
  }
}

TEST(DatagramFrame, NothingOfFragmentsOptionsOtherProtocolsAndImpossibleSources) {
  const Bytes good = ipv4(33).frame;
  const auto refused = [&](std::size_t at, std::uint8_t octet) {
    Bytes frame = good;
    frame[at] = octet;
    return !read_datagram(frame);
  };
  EXPECT_TRUE(refused(12, 0x81));          // a VLAN tag
  EXPECT_TRUE(refused(kIpAt, 0x46));       // options
  EXPECT_TRUE(refused(kIpAt + 6, 0x20));   // more fragments
  EXPECT_TRUE(refused(kIpAt + 7, 1));      // an offset
  EXPECT_FALSE(refused(kIpAt + 6, 0x40));  // do not fragment
  EXPECT_TRUE(refused(kIpAt + 9, 6));      // TCP
  for (const int first : {0, 127, 224, 255})
    EXPECT_TRUE(refused(kIpAt + 12, static_cast<std::uint8_t>(first)));
  Bytes frame = good;
  store_u16(frame.data() + 34, 0);  // from port 0
  EXPECT_FALSE(read_datagram(frame));
  frame = ipv6(33).frame;
  frame[kIpAt + 8] = 0xff;
  EXPECT_FALSE(read_datagram(frame));
}

TEST(DatagramFrame, AReplyTurnsTheFrameAroundWithRightChecksums) {
  std::mt19937 random(1);
  for (const Sample& sample : {ipv4(33), ipv6(33)}) {
    const auto request = read_datagram(sample.frame).value();
    for (std::size_t size = 12; size < 40; ++size) {
      std::array<std::uint8_t, 200> out{};
      for (std::size_t i = 0; i < size; ++i)
        out[request.header_size + i] = static_cast<std::uint8_t>(random());
      const std::size_t whole = put_reply_headers(sample.frame, request, out, size);
      const BytesView frame = BytesView(out).first(whole);
      const auto reply = read_datagram(frame);
      ASSERT_TRUE(reply);
      EXPECT_EQ(reply->message.size(), size);
      EXPECT_EQ(reply->source_port, 53);
      EXPECT_EQ(reply->destination_port, 0x1234);
      EXPECT_TRUE(std::ranges::equal(reply->source, request.destination));
      EXPECT_TRUE(std::ranges::equal(reply->destination, request.source));
      EXPECT_TRUE(std::ranges::equal(frame.first(6), BytesView(sample.frame).subspan(6, 6)));
      EXPECT_TRUE(std::ranges::equal(frame.subspan(6, 6), BytesView(sample.frame).first(6)));
      expect_right_checksums(frame, sample.ip_size);
    }
  }
}

}  // namespace
}  // namespace mutua::authority
