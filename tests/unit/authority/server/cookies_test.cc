#include "authority/server/cookies.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/socket_address.h"

namespace mutua::authority {
namespace {

Bytes octets(std::string_view hex) { return hex_decode(hex).value(); }

Bytes source(const std::string& address) {
  return to_bytes(SocketAddress::parse(address, 0).value().address_octets());
}

Cookies with(std::string_view secrets) { return Cookies(Cookies::parse_secrets(secrets).value()); }

std::string text(const FullCookie& cookie) { return hex_encode(BytesView(cookie)); }

constexpr char kSecret[] = "e5e973e5a6b2a43f48e7dc849e37bfcf";
constexpr char kOtherSecret[] = "445536bcd2513298075a5d379663c962";

TEST(SipHash, IsThatOfTheReferenceImplementation) {
  SipKey key;
  for (std::uint8_t i = 0; i < 16; ++i) key[i] = i;
  Bytes input;
  EXPECT_EQ(siphash(key, input), 0x726fdb47dd0e0e31u);
  for (std::uint8_t i = 0; i < 15; ++i) input.push_back(i);
  EXPECT_EQ(siphash(key, input), 0xa129ca6149be45e5u);
}

// RFC 9018 appendix A.1 and A.2.
TEST(Cookies, AreThoseOfTheRfc) {
  const Cookies cookies = with(kSecret);
  const auto first =
      cookies.judge(octets("2464c4abcf10c957"), source("198.51.100.100"), 1559731985);
  EXPECT_FALSE(first.is_valid);
  EXPECT_EQ(text(first.answer), "2464c4abcf10c957010000005cf79f111f8130c3eee29480");
  const auto later = cookies.judge(octets("2464c4abcf10c957010000005cf79f111f8130c3eee29480"),
                                   source("198.51.100.100"), 1559734385);
  EXPECT_TRUE(later.is_valid);
  EXPECT_EQ(text(later.answer), "2464c4abcf10c957010000005cf7a871d4a564a1442aca77");
}

// Appendix A.4: IPv6, a new secret.
TEST(Cookies, AreThoseOfTheRfcForIpv6) {
  const Cookies cookies =
      with(std::string(kOtherSecret) + "\n" + "dd3bdf9344b678b185a6f5cb60fca715");
  const auto verdict = cookies.judge(octets("22681ab97d52c298010000005cf7c57926556bd0934c72f8"),
                                     source("[2001:db8:220:1:59de:d0f4:8769:82b8]"), 1559741961);
  EXPECT_EQ(text(verdict.answer), "22681ab97d52c298010000005cf7c609a6bb79d16625507a");
}

TEST(Cookies, BelongToOneAddressAndOneHour) {
  const Cookies cookies = with(kSecret);
  const auto made =
      cookies.judge(octets("2464c4abcf10c957"), source("192.0.2.1"), 1'000'000).answer;
  EXPECT_TRUE(cookies.judge(made, source("192.0.2.1"), 1'000'000 + 3600).is_valid);
  EXPECT_TRUE(cookies.judge(made, source("192.0.2.1"), 1'000'000 - 300).is_valid);
  EXPECT_FALSE(cookies.judge(made, source("192.0.2.1"), 1'000'000 + 3601).is_valid);
  EXPECT_FALSE(cookies.judge(made, source("192.0.2.1"), 1'000'000 - 301).is_valid);
  EXPECT_FALSE(cookies.judge(made, source("192.0.2.2"), 1'000'000).is_valid);
  EXPECT_FALSE(with(kOtherSecret).judge(made, source("192.0.2.1"), 1'000'000).is_valid);
}

TEST(Cookies, OfAnOldSecretAreAcceptedAndReplaced) {
  const auto made =
      with(kSecret).judge(octets("2464c4abcf10c957"), source("192.0.2.1"), 5000).answer;
  const auto verdict = with(std::string(kOtherSecret) + "\n" + kSecret + "\n")
                           .judge(made, source("192.0.2.1"), 5001);
  EXPECT_TRUE(verdict.is_valid);
  EXPECT_NE(text(verdict.answer), text(made));
}

TEST(Cookies, SecretsHaveOneShape) {
  for (const char* wrong : {"", "\n", "abcd", "e5e973e5a6b2a43f48e7dc849e37bfcg"})
    EXPECT_FALSE(Cookies::parse_secrets(wrong).ok()) << wrong;
}

}  // namespace
}  // namespace mutua::authority
