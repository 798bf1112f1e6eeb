#include "authority/zone/catalog.h"

#include <gtest/gtest.h>

#include <thread>

#include "authority/zone/master_file.h"
#include "wire/rdata.h"

namespace mutua::authority {
namespace {

using wire::Name;
using wire::RRType;

const Name& apex() {
  static const Name name = Name::parse("fed.test").value();
  return name;
}

std::shared_ptr<const ZoneVersion> first() {
  constexpr char text[] = "$TTL 300\n@ SOA ns h 1 1 1 1 1\n@ NS ns\nns A 127.0.0.1\n";
  return ZoneVersion::create(apex(), parse_master_file(text, "test", apex()).value()).value();
}

std::shared_ptr<const ZoneVersion> next(const ZoneVersion& version) {
  const RRset before = *version.find(apex(), RRType::soa);
  RRset after = before;
  wire::Soa soa = wire::parse_soa(before.rdatas[0]).value();
  ++soa.serial;
  after.rdatas[0] = wire::make_soa(soa);
  return version.apply({version.serial(), soa.serial, {{apex(), RRType::soa, before, after}}})
      .value();
}

TEST(Catalog, APinKeepsItsVersionAndTheNextPinSeesTheNewest) {
  Catalog catalog(first());
  Catalog::Reader reader(catalog);
  {
    const auto pin = reader.pin();
    catalog.publish(next(*catalog.current()));
    catalog.publish(next(*catalog.current()));
    catalog.reclaim();
    EXPECT_EQ(pin->serial(), 1u);
    EXPECT_EQ(catalog.retired_count(), 2u);
  }
  EXPECT_EQ(reader.pin()->serial(), 3u);
  catalog.publish(next(*catalog.current()));
  catalog.reclaim();
  EXPECT_EQ(catalog.retired_count(), 0u);
}

TEST(Catalog, VersionsDieWithTheLastUser) {
  Catalog catalog(first());
  const std::weak_ptr<const ZoneVersion> watched = catalog.current();
  auto held = catalog.current();
  catalog.publish(next(*held));
  catalog.reclaim();
  EXPECT_FALSE(watched.expired());
  held.reset();
  EXPECT_TRUE(watched.expired());
}

// For ThreadSanitizer and AddressSanitizer: readers see whole versions whose serials never go back
// while a writer publishes as fast as it can.
TEST(Catalog, ReadersNeverSeeAVersionThatIsGone) {
  Catalog catalog(first());
  constexpr std::uint32_t kVersions = 3000;
  const FoldedName folded(apex());
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      Catalog::Reader reader(catalog);
      std::uint32_t seen = 0;
      while (seen < kVersions) {
        const auto pin = reader.pin();
        const auto soa = pin->node(folded.wire())->find(RRType::soa);
        const std::uint32_t serial = wire::parse_soa(soa->front()).value().serial;
        ASSERT_EQ(serial, pin->serial());
        ASSERT_GE(serial, seen);
        seen = serial;
      }
    });
  }
  std::thread sharer([&] {
    while (catalog.current()->serial() < kVersions) std::this_thread::yield();
  });
  while (catalog.current()->serial() < kVersions) {
    catalog.publish(next(*catalog.current()));
    catalog.reclaim();
  }
  for (auto& reader : readers) reader.join();
  sharer.join();
}

}  // namespace
}  // namespace mutua::authority
