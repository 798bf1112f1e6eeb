#include "trust/key.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <boost/json.hpp>
#include <filesystem>

#include "base/durable_file.h"
#include "base/encoding.h"
#include "support/places.h"
#include "trust/mac.h"
#include "trust/peer_id.h"

namespace mutua::trust {
namespace {

class Keys : public testing::TestWithParam<Algorithm> {};

TEST_P(Keys, SignaturesVerifyAndSurviveTheFile) {
  const auto key = PrivateKey::generate(GetParam()).value();
  const Bytes message = to_bytes("a snapshot");
  const Bytes signature = key.sign(message);
  EXPECT_EQ(signature.size(), 64U);
  EXPECT_TRUE(key.public_key().verify(message, signature));
  EXPECT_FALSE(key.public_key().verify(to_bytes("another"), signature));

  const std::filesystem::path path = testing::TempDir() + "/key_test.pem";
  ASSERT_TRUE(key.save(path).ok());
  const auto loaded = PrivateKey::load(path).value();
  EXPECT_EQ(loaded.public_key(), key.public_key());
  EXPECT_TRUE(key.public_key().verify(message, loaded.sign(message)));
  EXPECT_EQ(loaded.raw_secret().value().size(), 32U);

  ::chmod(path.c_str(), 0644);
  EXPECT_FALSE(PrivateKey::load(path).ok()) << "a key that others may read";
  std::filesystem::remove(path);
}

INSTANTIATE_TEST_SUITE_P(Algorithms, Keys,
                         testing::Values(Algorithm::ed25519, Algorithm::ecdsa_p256_sha256));

TEST(PublicKey, WrongSizesAlgorithmsAndPointsAreRefused) {
  EXPECT_FALSE(PublicKey::create(15, Bytes(31)).ok());
  EXPECT_FALSE(PublicKey::create(13, Bytes(63)).ok());
  EXPECT_FALSE(PublicKey::create(13, Bytes(64, 1)).ok()) << "not on the curve";
  EXPECT_FALSE(PublicKey::create(8, Bytes(64)).ok());
}

TEST(PeerId, IsALabelOf32CharactersMadeFromTheKey) {
  const auto key = PublicKey::create(15, Bytes(32, 7)).value();
  const std::string id = peer_id(key);
  EXPECT_EQ(id.size(), 32U);
  EXPECT_TRUE(is_peer_id(id));
  EXPECT_FALSE(is_peer_id("blog"));
  EXPECT_NE(id, peer_id(PublicKey::create(15, Bytes(32, 8)).value()));
}

// RFC 4231 test case 2.
TEST(Mac, HmacSha256Vector) {
  const Bytes mac =
      hmac("hmac-sha256", to_bytes("Jefe"), to_bytes("what do ya want for nothing?")).value();
  EXPECT_EQ(hex_encode(mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_FALSE(hmac("hmac-md5", {}, {}).ok());
}

// The vectors of others: every valid signature passes, every invalid one fails.
class Wycheproof : public testing::Test {
 protected:
  boost::json::object load(const std::string& file) {
    const std::filesystem::path path =
        test::source_folder() / "../shared/vectors/wycheproof" / file;
    const auto text = read_file(path, 16 << 20);
    if (!text.ok()) return {};
    return boost::json::parse(as_text(*text)).as_object();
  }

  // Runs all groups; `raw_of` takes a group's public key.
  void run(const boost::json::object& suite, std::uint8_t algorithm,
           const std::function<Bytes(const boost::json::object&)>& raw_of) {
    unsigned cases = 0;
    for (const auto& group : suite.at("testGroups").as_array()) {
      const auto key =
          PublicKey::create(algorithm, raw_of(group.as_object().at("publicKey").as_object()));
      ASSERT_TRUE(key.ok());
      for (const auto& entry : group.as_object().at("tests").as_array()) {
        const auto& test = entry.as_object();
        const auto hex = [&](const char* field) {
          return hex_decode(std::string(test.at(field).as_string())).value();
        };
        const std::string_view expected = test.at("result").as_string();
        ++cases;
        if (expected == "acceptable") continue;
        EXPECT_EQ(key->verify(hex("msg"), hex("sig")), expected == "valid")
            << "tcId " << test.at("tcId").as_int64() << " " << test.at("comment").as_string();
      }
    }
    EXPECT_GT(cases, 50U);
  }
};

TEST_F(Wycheproof, Ed25519) {
  const auto suite = load("ed25519_test.json");
  if (suite.empty()) GTEST_SKIP() << "../shared/vectors is not here";
  run(suite, 15, [](const boost::json::object& key) {
    return hex_decode(std::string(key.at("pk").as_string())).value();
  });
}

TEST_F(Wycheproof, EcdsaP256) {
  const auto suite = load("ecdsa_secp256r1_sha256_p1363_test.json");
  if (suite.empty()) GTEST_SKIP() << "../shared/vectors is not here";
  run(suite, 13, [](const boost::json::object& key) {
    Bytes point = hex_decode(std::string(key.at("uncompressed").as_string())).value();
    point.erase(point.begin());
    return point;
  });
}

}  // namespace
}  // namespace mutua::trust
