#include "peer/snapshot/manifest.h"

#include <gmock/gmock.h>

#include "peer/snapshot/config.h"
#include "peer/snapshot/ssh_signature.h"
#include "peer/snapshot/verified_manifest.h"

namespace mutua::peer {
namespace {

using ::testing::HasSubstr;

Descriptor descriptor(std::string_view type, std::uint8_t seed, std::uint64_t size_bytes) {
  return {std::string(type), trust::sha256(Bytes{seed}), size_bytes, {}};
}

Manifest sample() {
  Manifest manifest;
  manifest.artifact_type = media_type::snapshot;
  manifest.config = descriptor(media_type::snapshot_config, 1, 100);
  manifest.layers = {descriptor(media_type::kernel, 2, 7'000'000),
                     descriptor(media_type::base_disk, 3, 32 << 20),
                     descriptor(media_type::disk_delta, 4, 5000)};
  manifest.layers[2].annotations["vnd.mutua.base.digest"] = manifest.layers[1].digest.to_text();
  manifest.annotations["org.opencontainers.image.title"] = "blog.fed.example";
  return manifest;
}

class Verified : public ::testing::Test {
 protected:
  void sign() {
    raw_ = print_manifest(manifest_);
    digest_ = trust::sha256(raw_);
    signature_ = make_ssh_signature(key_, kSnapshotNamespace, as_bytes(digest_.to_text()));
  }
  Result<VerifiedManifest> check(std::uint64_t limit_bytes = 1ULL << 30) const {
    return verify(raw_, digest_, signature_, key_.public_key(), limit_bytes);
  }

  trust::PrivateKey key_ = trust::PrivateKey::generate(trust::Algorithm::ed25519).value();
  Manifest manifest_ = sample();
  Bytes raw_;
  trust::Digest digest_;
  std::string signature_;
};

TEST(ManifestText, PrintsAndParsesToTheSame) {
  const Bytes raw = print_manifest(sample());
  const Manifest parsed = parse_manifest(raw).value();
  EXPECT_EQ(parsed, sample());
  EXPECT_EQ(print_manifest(parsed), raw);
}

TEST(ManifestText, WhatIsNoManifestIsRefused) {
  const std::string good(as_text(print_manifest(sample())));
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  const std::string many(20, '[');
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{}"), many, good + "x",
        good.substr(0, good.size() - 1), replaced("\"schemaVersion\":2", "\"schemaVersion\":1"),
        replaced("\"size\":100", "\"size\":-1"), replaced("\"size\":100", "\"size\":1e2"),
        replaced("\"size\":100", "\"size\":\"100\""),
        replaced("\"size\":100", "\"size\":99999999999999999999"), replaced("sha256:", "sha512:"),
        replaced("sha256:", "sha256:../"), replaced("image.manifest", "image.index"),
        replaced("\"layers\":[", "\"layers\":[7,")}) {
    EXPECT_FALSE(parse_manifest(as_bytes(text)).ok()) << text;
  }
  EXPECT_FALSE(parse_manifest(Bytes(kLargestManifestBytes + 1, ' ')).ok());
}

TEST(ManifestText, UnknownFieldsAreIgnored) {
  std::string text(as_text(print_manifest(sample())));
  text.insert(1, R"("future":{"a":[1]},)");
  EXPECT_TRUE(parse_manifest(as_bytes(text)).ok());
}

TEST(ManifestText, ReferrersPrintAndParse) {
  const std::vector<Referrer> referrers{
      {descriptor(media_type::image_manifest, 9, 12), std::string(media_type::signature)}};
  const auto parsed = parse_referrers(print_referrers(referrers)).value();
  ASSERT_EQ(parsed.size(), 1U);
  EXPECT_EQ(parsed[0].manifest, referrers[0].manifest);
  EXPECT_EQ(parsed[0].artifact_type, referrers[0].artifact_type);
}

TEST_F(Verified, TheOwnersManifestHolds) {
  sign();
  const VerifiedManifest verified = check().value();
  EXPECT_EQ(verified.layers().kernel, manifest_.layers[0]);
  EXPECT_EQ(verified.base_labels(),
            (std::vector{manifest_.layers[0].digest.label(), manifest_.layers[1].digest.label()}));
  EXPECT_EQ(verified.blobs().size(), 4U);
}

TEST_F(Verified, MemoryLayersStandOneOnTheOther) {
  const trust::Digest base = trust::sha256(Bytes{1}), own = trust::sha256(Bytes{2});
  const auto add = [&](const MemoryLayer& layer) { manifest_.layers.push_back(layer.blob); };
  add(make_memory_layer(trust::sha256(Bytes{3}), 100, base, 8192, std::nullopt));
  add(make_memory_layer(trust::sha256(Bytes{4}), 50, own, 12288, base));
  sign();
  const SnapshotLayers layers = check().value().layers();
  ASSERT_EQ(layers.memory.size(), 2U);
  EXPECT_EQ(layers.memory[0].content, base);
  EXPECT_EQ(layers.memory[1].parent, base);
  EXPECT_EQ(layers.memory[1].content_bytes, 12288U);
  EXPECT_FALSE(check(7'000'000 + (32 << 20) + 5100 + 150 + 8192 + 12287).ok())
      << "what they expand to counts";

  const Manifest good = manifest_;
  const auto refused = [&](auto change) {
    manifest_ = good;
    change(manifest_.layers);
    sign();
    return check().error().message();
  };
  EXPECT_THAT(refused([](auto& all) { std::swap(all[3], all[4]); }), HasSubstr("another one"));
  EXPECT_THAT(refused([](auto& all) { all.erase(all.begin() + 3); }), HasSubstr("another one"));
  EXPECT_THAT(refused([](auto& all) { all[4].annotations[annotation::content_size] = "12289"; }),
              HasSubstr("not the size of a memory"));
  EXPECT_THAT(refused([](auto& all) { all[4].annotations.erase(annotation::content_digest); }),
              HasSubstr(annotation::content_digest));
  EXPECT_THAT(refused([&](auto& all) {
                for (int i = 0; i < 7; ++i) {
                  all.push_back(make_memory_layer(base, 50, own, 4096, own).blob);
                }
              }),
              HasSubstr("more than the allowed"));
}

TEST_F(Verified, AnotherDigestThanTheZonesIsRefusedBeforeTheSignature) {
  sign();
  raw_.back() ^= 1;
  signature_ = "nonsense";
  EXPECT_THAT(check().error().message(), HasSubstr("its digest is"));
}

TEST_F(Verified, AnotherKeysSignatureIsRefused) {
  sign();
  const auto other = trust::PrivateKey::generate(trust::Algorithm::ed25519).value();
  signature_ = make_ssh_signature(other, kSnapshotNamespace, as_bytes(digest_.to_text()));
  EXPECT_THAT(check().error().message(), HasSubstr("another key"));
}

TEST_F(Verified, ASignatureOverAnotherManifestIsRefused) {
  sign();
  signature_ =
      make_ssh_signature(key_, kSnapshotNamespace, as_bytes(trust::sha256(Bytes{1}).to_text()));
  EXPECT_THAT(check().error().message(), HasSubstr("does not hold"));
}

TEST_F(Verified, ASignatureForAnotherPurposeIsRefused) {
  sign();
  signature_ = make_ssh_signature(key_, "file", as_bytes(digest_.to_text()));
  EXPECT_THAT(check().error().message(), HasSubstr("another namespace"));
}

TEST_F(Verified, TooManyBytesAreRefused) {
  sign();
  EXPECT_TRUE(check(7'000'000 + (32 << 20) + 5100).ok());
  EXPECT_FALSE(check(7'000'000 + (32 << 20) + 5099).ok());
}

TEST_F(Verified, ASnapshotWithoutOneOfItsLayersIsRefused) {
  for (std::size_t missing = 0; missing < 3; ++missing) {
    manifest_ = sample();
    manifest_.layers.erase(manifest_.layers.begin() + static_cast<std::ptrdiff_t>(missing));
    sign();
    EXPECT_THAT(check().error().message(), HasSubstr("no layer"));
  }
}

TEST_F(Verified, ASignedManifestThatIsNoSnapshotIsRefused) {
  manifest_.artifact_type = "application/vnd.example";
  sign();
  EXPECT_FALSE(check().ok());
}

TEST_F(Verified, AConfigOfAnotherServiceOrOtherBasesIsRefused) {
  SnapshotConfig config;
  config.service = "blog.fed.example";
  config.ports = {{80, Transport::tcp}};
  config.bases = {manifest_.layers[0].digest.label(), manifest_.layers[1].digest.label()};
  const auto checked = [&](const SnapshotConfig& one, const std::string& service) {
    const Bytes raw = print_snapshot_config(one);
    manifest_.config.digest = trust::sha256(raw);
    manifest_.config.size_bytes = raw.size();
    sign();
    return verify_config(check().value(), raw, service);
  };
  EXPECT_EQ(checked(config, "blog.fed.example").value(), config);
  EXPECT_FALSE(checked(config, "shop.fed.example").ok());
  SnapshotConfig other = config;
  other.bases.pop_back();
  EXPECT_FALSE(checked(other, "blog.fed.example").ok());
  other = config;
  other.address = "10.0.0.1";  // without a memory
  EXPECT_FALSE(checked(other, "blog.fed.example").ok());
}

TEST(SnapshotConfigText, PortsAreReadStrictly) {
  EXPECT_EQ(ServicePort::parse("80/tcp").value().to_text(), "80/tcp");
  EXPECT_EQ(ServicePort::parse("53/udp").value().to_text(), "53/udp");
  for (const char* text : {"", "80", "80/", "0/tcp", "65536/tcp", "-1/tcp", "80/sctp", "80/tcp "}) {
    EXPECT_FALSE(ServicePort::parse(text).ok()) << text;
  }
}

}  // namespace
}  // namespace mutua::peer
