#include "resolver/validation/trust_anchors.h"

#include <gtest/gtest.h>

#include "support/foreign_zones.h"
#include "support/records_of.h"

namespace mutua::resolver {
namespace {

TrustAnchors anchors() { return TrustAnchors(wire::Name::parse("fed.example.").value()); }

constexpr const char* kDigest = "a2d3798569d96dd4964cf5f19a8d1e0ae5f64a1e821112bb7173762f66b6e034";

TEST(TrustAnchors, AreDsOrDnskeyRecordsWithCommentsAndTtlsOrWithout) {
  TrustAnchors some = anchors();
  const std::string ds = "fed.example. IN DS 1 13 2 " + std::string(kDigest);
  ASSERT_TRUE(some.add("; of 2026\n\n " + ds + " ; the first\n").ok());
  ASSERT_TRUE(some.add("FED.example. 3600 IN DS 1 13 2 " + std::string(kDigest)).ok());
  EXPECT_EQ(some.all().size(), 1u) << "the same twice";
  ASSERT_TRUE(
      some.add("fed.example. IN DNSKEY 257 3 15 PhyATEUIn0+1MsRUGbGKvVGrkWSMFJSXSOe8ayHA32c=")
          .ok());
  EXPECT_EQ(some.all().size(), 2u);
}

TEST(TrustAnchors, ADnskeyAndItsDsNameTheSameKey) {
  for (const ForeignZone& zone : kForeignZones) {
    TrustAnchors by_ds = anchors();
    ASSERT_TRUE(by_ds.add(zone.trust_anchor).ok());
    unsigned named = 0;
    for (const wire::Record& record : records_of(zone.records)) {
      if (record.type != wire::RRType::dnskey) continue;
      TrustAnchors by_key = anchors();
      ASSERT_TRUE(by_key.add(wire::to_text(record)).ok());
      EXPECT_TRUE(by_key.names(record.rdata));
      named += by_ds.names(record.rdata);
    }
    EXPECT_EQ(named, 1u) << zone.signer;
  }
}

TEST(TrustAnchors, WhatCannotBeCheckedIsRefused) {
  for (const std::string text : {
           "nonsense",
           "fed.example. IN A 192.0.2.1",
           "other.example. IN DS 1 13 2 "
           "a2d3798569d96dd4964cf5f19a8d1e0ae5f64a1e821112bb7173762f66b6e034",
           "fed.example. IN DS 1 13 1 a2d3798569d96dd4964cf5f19a8d1e0ae5f64a1e",
           "fed.example. IN DS 1 13 2 a2d3798569d96dd4964cf5f19a8d1e0ae5f64a1e",
           "fed.example. IN DS 1 8 2 "
           "a2d3798569d96dd4964cf5f19a8d1e0ae5f64a1e821112bb7173762f66b6e034",
           "fed.example. IN DNSKEY 0 3 15 PhyATEUIn0+1MsRUGbGKvVGrkWSMFJSXSOe8ayHA32c=",
           "fed.example. IN DNSKEY 257 3 15 PhyATEUIn0+1MsRUGbGK",
       }) {
    TrustAnchors some = anchors();
    EXPECT_FALSE(some.add(text).ok()) << text;
    EXPECT_TRUE(some.empty());
  }
  TrustAnchors many = anchors();
  for (int i = 0; i < 16; ++i)
    ASSERT_TRUE(many.add("fed.example. IN DS " + std::to_string(i) + " 13 2 " + kDigest).ok());
  EXPECT_FALSE(many.add("fed.example. IN DS 16 13 2 " + std::string(kDigest)).ok());
}

}  // namespace
}  // namespace mutua::resolver
