#include "base/encoding.h"

#include <gtest/gtest.h>

namespace mutua {
namespace {

// RFC 4648 section 10.
TEST(Encoding, TheVectorsOfRfc4648) {
  const std::string_view plain[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
  const std::string_view base64[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                     "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
  const std::string_view base32[] = {"",        "my",       "mzxq",      "mzxw6",
                                     "mzxw6yq", "mzxw6ytb", "mzxw6ytboi"};
  for (std::size_t i = 0; i < std::size(plain); ++i) {
    EXPECT_EQ(base64_encode(as_bytes(plain[i])), base64[i]);
    EXPECT_EQ(as_text(base64_decode(base64[i]).value()), plain[i]);
    EXPECT_EQ(base32_encode(as_bytes(plain[i])), base32[i]);
    EXPECT_EQ(as_text(base32_decode(base32[i]).value()), plain[i]);
    EXPECT_EQ(as_text(hex_decode(hex_encode(as_bytes(plain[i]))).value()), plain[i]);
  }
}

TEST(Encoding, MalformedTextIsRefused) {
  for (const std::string_view text : {"Zg=", "Zg", "Z===", "Zh==", "Z?==", "=Zg="}) {
    EXPECT_FALSE(base64_decode(text).ok()) << text;
  }
  for (const std::string_view text : {"m", "m1", "mz0", "mx"}) {
    EXPECT_FALSE(base32_decode(text).ok()) << text;
  }
  EXPECT_FALSE(hex_decode("abc").ok());
  EXPECT_FALSE(hex_decode("zz").ok());
}

}  // namespace
}  // namespace mutua
