#include "dnssec/nsec3.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "dnssec/nsec.h"

namespace mutua::dnssec {
namespace {

std::string hashed(std::string_view name, std::string_view salt = {}) {
  return hex_encode(nsec3_hash(as_bytes(name), as_bytes(salt)));
}

TEST(Nsec3, HashesAreThoseOfFips180) {
  EXPECT_EQ(hashed(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(hashed("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(hashed("a", "bc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(hashed("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
  EXPECT_EQ(hashed(std::string(255, 'a')), "5afd9729928ad946eee5610434e66b5f95accbaf");
}

TEST(Nsec3, LabelsKeepTheOrderOfHashesAndLeadBack) {
  Nsec3Hash last{};
  for (unsigned i = 1; i < 256; ++i) {
    Nsec3Hash hash{};
    hash.fill(static_cast<std::uint8_t>(i));
    EXPECT_LT(nsec3_label(last), nsec3_label(hash));
    const Nsec3Label label = nsec3_label(hash);
    std::string text(as_text(BytesView(label).subspan(1)));
    EXPECT_EQ(label[0], 32);
    EXPECT_EQ(nsec3_hash_of_label(text), hash);
    for (char& letter : text) letter = static_cast<char>(std::toupper(letter));
    EXPECT_EQ(nsec3_hash_of_label(text), hash);
    last = hash;
  }
  for (const char* wrong : {"", "short", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"})
    EXPECT_EQ(nsec3_hash_of_label(wrong), Nsec3Hash{});
}

// RFC 5155 section 3.2, with an empty salt.
TEST(Nsec3, RecordsHaveNoSaltNoIterationsAndNoOptOut) {
  Nsec3Hash next{};
  next.fill(7);
  const Bytes rdata = make_nsec3({wire::RRType::a, wire::RRType::rrsig}, next);
  EXPECT_EQ(hex_encode(rdata), "010000000014" + std::string(hex_encode(next)) + "0006400000000002");
  Nsec3Hash other{};
  other.fill(8);
  EXPECT_EQ(with_next(rdata, other), make_nsec3({wire::RRType::a, wire::RRType::rrsig}, other));
  EXPECT_EQ(make_nsec3({}, next).size(), 26u);  // an empty non-terminal
  EXPECT_EQ(hex_encode(make_nsec3param()), "0100000000");
}

}  // namespace
}  // namespace mutua::dnssec
