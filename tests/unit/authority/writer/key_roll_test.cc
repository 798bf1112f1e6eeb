// A roll-over as resolvers see it: whatever mixture of DS, DNSKEY and signatures their caches may
// hold, from whichever secondary, at any moment: it validates.

#include <gtest/gtest.h>

#include <deque>
#include <set>

#include "authority/dnssec/key_keeper.h"
#include "authority/dnssec/rrsig.h"
#include "support/temporary_folder.h"
#include "support/writer_fixture.h"
#include "wire/rdata.h"

namespace mutua::test {
namespace {

using authority::KeyDuty;
using authority::KeyKeeper;
using authority::KeyLayout;
using authority::KeyRecord;
using authority::KeyRole;
using authority::KeyStore;
using std::chrono::hours;
using std::chrono::minutes;
using wire::RRType;

constexpr minutes kStep(10);
const authority::RollRules kRules{hours(24), hours(1), hours(24 * 30), hours(24 * 9)};

using Tags = std::set<std::uint16_t>;

// What one version of the zone, or the zone above, said at one time, as key tags.
struct Said {
  WallTime at;
  Tags ds, keys, keys_signed_by, data_signed_by;
};

class KeyRollTest : public WriterTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(authority::import_zone(store_, small_zone()).ok());
    start();
    parent_ds_ = {active()};
    ASSERT_TRUE(open_store().note_ds_seen(active(), clock_.wall_now()).ok());
  }

  // As after kill -9: nothing is left but the store, the folder and the clock.
  void start() {
    writer_.reset();
    auto keys = KeyKeeper::create(folder_.path() / "keys", name(kZone),
                                  {trust::Algorithm::ed25519, layout_}, kRules, clock_);
    ASSERT_TRUE(keys.ok()) << keys.error().message();
    keeper_.emplace(*std::move(keys));
    authority::WriterConfig config;
    config.tsig_keys.push_back({name("operator"), "hmac-sha256", kSecret});
    config.keys = &*keeper_;
    auto created = authority::Writer::create(store_, std::move(config), clock_);
    ASSERT_TRUE(created.ok()) << created.error().message();
    writer_ = *std::move(created);
  }

  KeyStore open_store() { return KeyStore::open(folder_.path() / "keys", name(kZone)).value(); }
  std::uint16_t active(KeyDuty duty = KeyDuty::parent) {
    return authority::active_key(open_store().records(), duty)->tag;
  }
  std::uint16_t roll(KeyRole role) {
    return open_store().generate(role, clock_.wall_now()).value().tag;
  }
  bool is_rolling() { return authority::is_rolling(open_store().records()); }

  Said look() {
    Said said{clock_.wall_now(), parent_ds_, {}, {}, {}};
    zone()->for_each([&](const wire::Name&, const authority::RRsetView& view) {
      const authority::RRset rrset = view.copy();
      for (const Bytes& rdata : rrset.rdatas) {
        if (rrset.type == RRType::dnskey) said.keys.insert(wire::key_tag(rdata));
        if (rrset.type != RRType::rrsig) continue;
        const auto facts = authority::read_rrsig(rdata, clock_.wall_now());
        EXPECT_GT(facts->expiration, clock_.wall_now());
        if (facts->covered == RRType::dnskey)
          said.keys_signed_by.insert(facts->key_tag);
        else if (!authority::is_about_keys(facts->covered))
          said.data_signed_by.insert(facts->key_tag);
      }
    });
    return said;
  }

  // The zone above takes what CDS says (RFC 7344), three hours later; `ds_seen` after that.
  void let_the_parent_follow() {
    Tags wanted;
    const auto found_rrset = zone()->find(name(kZone), RRType::cds);
    for (const Bytes& rdata : found_rrset->rdatas) wanted.insert(load_u16(rdata.data()));
    if (wanted == parent_ds_) return;
    if (!parent_due_) parent_due_ = clock_.wall_now() + hours(3);
    if (clock_.wall_now() < *parent_due_) return;
    parent_ds_ = wanted;
    parent_due_.reset();
    ASSERT_TRUE(open_store().note_ds_seen(*wanted.begin(), clock_.wall_now()).ok());
  }

  void step() {
    clock_.advance(kStep);
    writer_->process_now();
    let_the_parent_follow();
    history_.push_back(look());
    while (history_.front().at < clock_.wall_now() - hours(48)) history_.pop_front();
  }

  std::set<Tags> within(std::chrono::seconds window, Tags Said::*what) {
    std::set<Tags> found;
    for (const Said& said : history_)
      if (said.at >= clock_.wall_now() - window) found.insert(said.*what);
    return found;
  }

  static bool meet(const Tags& a, const Tags& b) {
    return std::ranges::any_of(a, [&](std::uint16_t tag) { return b.contains(tag); });
  }

  // What may still be in a cache: as old as a secondary may be behind, and then its TTL.
  void expect_every_cache_validates() {
    for (const Tags& ds : within(kRules.parent_ds_ttl + kRules.propagation, &Said::ds))
      for (const Tags& signers : within(hours(1) + kRules.propagation, &Said::keys_signed_by))
        EXPECT_TRUE(meet(ds, signers)) << "no way from a cached DS to the keys";
    for (const Tags& keys : within(hours(1) + kRules.propagation, &Said::keys))
      for (const Tags& signers : within(minutes(5) + kRules.propagation, &Said::data_signed_by))
        for (const std::uint16_t signer : signers)
          EXPECT_TRUE(keys.contains(signer)) << "a cached signature of an unknown key";
  }

  // To the end of what is under way, but for so many days at most.
  void go_on(int days, bool crash = true) {
    for (int i = 0; i < 6 * 24 * days && is_rolling(); ++i) {
      step();
      expect_every_cache_validates();
      if (!crash) continue;
      start();
      expect_every_cache_validates();
    }
    EXPECT_FALSE(is_rolling());
    step();
  }

  const KeyRecord& record(std::uint16_t tag) {
    records_ = open_store().records();
    for (const KeyRecord& one : records_)
      if (one.tag == tag) return one;
    ADD_FAILURE() << "no key " << tag;
    return records_.front();
  }

  TemporaryFolder folder_;
  KeyLayout layout_ = KeyLayout::csk;
  std::optional<KeyKeeper> keeper_;
  Tags parent_ds_;
  std::optional<WallTime> parent_due_;
  std::deque<Said> history_;
  std::vector<KeyRecord> records_;
};

// A KSK and a ZSK from the start.
class SplitKeyRollTest : public KeyRollTest {
 protected:
  SplitKeyRollTest() { layout_ = KeyLayout::split; }
};

TEST_F(KeyRollTest, ByCommandWithACrashAtEveryStep) {
  for (int i = 0; i < 20; ++i) step();
  const std::uint16_t old = active();
  const std::uint16_t next = roll(KeyRole::csk);
  EXPECT_FALSE(open_store().generate(KeyRole::csk, clock_.wall_now()).ok());
  go_on(4);
  EXPECT_TRUE(record(old).removed);
  EXPECT_EQ(active(), next);
  EXPECT_GE(*record(next).active, *record(next).published + hours(2));
  EXPECT_GE(*record(old).removed, *record(next).ds_seen + hours(25));
  EXPECT_EQ(look().keys, Tags{next});
  EXPECT_EQ(look().data_signed_by, Tags{next});
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "keys" / record(old).file));
}

TEST_F(KeyRollTest, AnUpdateThatClearsTheApexLeavesTheKeys) {
  for (int i = 0; i < 20; ++i) step();
  const Said before = look();
  UpdateBuilder update(kZone);
  update.edns().remove_name(kZone);
  ASSERT_EQ(operate(update).rcode, wire::Rcode::noerror);
  step();
  EXPECT_EQ(look().keys, before.keys);
  EXPECT_EQ(look().keys_signed_by, before.keys_signed_by);
  EXPECT_EQ(look().data_signed_by, before.data_signed_by);
}

TEST_F(KeyRollTest, BySchedule) {
  const std::uint16_t first = active();
  std::set<std::uint16_t> seen;
  // Renewals of signatures fall into it, too.
  for (int i = 0; i < 6 * 24 * 70; ++i) {
    step();
    if (i % 7 != 0) continue;
    expect_every_cache_validates();
    seen.insert(active());
  }
  EXPECT_EQ(seen.size(), 3u);
  EXPECT_TRUE(record(first).removed);
}

TEST_F(KeyRollTest, NothingIsRemovedBeforeTheZoneAboveFollows) {
  const std::uint16_t old = active();
  roll(KeyRole::csk);
  for (int i = 0; i < 6 * 24 * 10; ++i) {
    clock_.advance(kStep);
    writer_->process_now();
  }
  EXPECT_TRUE(record(old).retired);
  EXPECT_FALSE(record(old).removed);
  EXPECT_TRUE(look().keys_signed_by.contains(old));
}

TEST_F(KeyRollTest, AKeyThatBecameKnownGoesAtOnce) {
  const std::uint16_t old = active();
  EXPECT_FALSE(open_store().retire_now(old, clock_.wall_now()).ok());  // the only one
  const std::uint16_t next = roll(KeyRole::csk);
  ASSERT_TRUE(open_store().retire_now(old, clock_.wall_now()).ok());
  for (int i = 0; i < 3; ++i) step();
  EXPECT_EQ(look().keys, Tags{next});
  EXPECT_EQ(look().data_signed_by, Tags{next});
  EXPECT_EQ(look().keys_signed_by, Tags{next});
}

TEST_F(KeyRollTest, UpdatesInTheMidstAreSignedByWhoeverIsActive) {
  roll(KeyRole::csk);
  for (int i = 0; i < 6 * 24 * 2; ++i) {
    UpdateBuilder update(kZone);
    update.remove_name("n" + std::to_string(i % 7) + "." + kZone);
    update.add("n" + std::to_string(i % 5) + "." + kZone + " 60 IN A 192.0.2.1");
    ASSERT_EQ(operate(update).rcode, wire::Rcode::noerror);
    step();
    expect_every_cache_validates();
  }
}

TEST_F(SplitKeyRollTest, AZskIsPublishedBeforeItSignsAndAsksNobodyAbove) {
  for (int i = 0; i < 20; ++i) step();
  const std::uint16_t ksk = active(), old = active(KeyDuty::data);
  const std::uint16_t next = roll(KeyRole::zsk);
  const Tags above = parent_ds_;
  go_on(1);
  EXPECT_EQ(parent_ds_, above);
  EXPECT_EQ(active(), ksk);
  EXPECT_GE(*record(next).active, *record(next).published + hours(2));
  EXPECT_GE(*record(old).removed, *record(old).retired + hours(2));
  EXPECT_EQ(look().keys, (Tags{ksk, next}));
  EXPECT_EQ(look().keys_signed_by, Tags{ksk});
  EXPECT_EQ(look().data_signed_by, Tags{next});
}

TEST_F(SplitKeyRollTest, AKskIsRolledWithoutTouchingTheData) {
  for (int i = 0; i < 20; ++i) step();
  const std::uint16_t old = active(), zsk = active(KeyDuty::data);
  const std::uint16_t next = roll(KeyRole::ksk);
  for (int i = 0; i < 2; ++i) step();
  EXPECT_EQ(look().keys_signed_by, (Tags{old, next}));
  go_on(4);
  EXPECT_EQ(parent_ds_, Tags{next});
  EXPECT_GE(*record(next).active, *record(next).published + hours(2));
  EXPECT_GE(*record(old).removed, *record(next).ds_seen + hours(25));
  EXPECT_EQ(look().keys, (Tags{zsk, next}));
  EXPECT_EQ(look().keys_signed_by, Tags{next});
  for (const Said& said : history_) EXPECT_EQ(said.data_signed_by, Tags{zsk});
}

TEST_F(SplitKeyRollTest, BothAtOnceAreTwoRollOvers) {
  for (int i = 0; i < 20; ++i) step();
  const std::uint16_t ksk = roll(KeyRole::ksk), zsk = roll(KeyRole::zsk);
  go_on(4);
  EXPECT_EQ(look().keys, (Tags{ksk, zsk}));
  EXPECT_EQ(active(), ksk);
  EXPECT_EQ(active(KeyDuty::data), zsk);
}

TEST_F(SplitKeyRollTest, BySchedule) {
  const std::uint16_t ksk = active(), zsk = active(KeyDuty::data);
  std::set<std::uint16_t> ksks, zsks;
  for (int i = 0; i < 6 * 24 * 35; ++i) {
    step();
    if (i % 7 != 0) continue;
    expect_every_cache_validates();
    ksks.insert(active());
    zsks.insert(active(KeyDuty::data));
  }
  EXPECT_EQ(ksks.size(), 2u);
  EXPECT_EQ(zsks.size(), 4u);
  EXPECT_TRUE(record(ksk).removed);
  EXPECT_TRUE(record(zsk).removed);
}

// Another configuration is a roll-over, too; a change of mind waits for its end.
TEST_F(KeyRollTest, FromOneKeyToTwoAndBack) {
  for (int i = 0; i < 20; ++i) step();
  const std::uint16_t csk = active();
  layout_ = KeyLayout::split;
  start();
  for (int i = 0; i < 2; ++i) step();
  EXPECT_EQ(look().keys.size(), 3u);
  layout_ = KeyLayout::csk;
  start();
  for (int i = 0; i < 2; ++i) step();
  EXPECT_EQ(look().keys.size(), 3u);
  layout_ = KeyLayout::split;
  start();
  go_on(4);
  EXPECT_TRUE(record(csk).removed);
  const std::uint16_t ksk = active(), zsk = active(KeyDuty::data);
  EXPECT_EQ(record(ksk).role, KeyRole::ksk);
  EXPECT_EQ(record(zsk).role, KeyRole::zsk);
  EXPECT_EQ(look().keys, (Tags{ksk, zsk}));
  EXPECT_EQ(look().keys_signed_by, Tags{ksk});
  EXPECT_EQ(look().data_signed_by, Tags{zsk});
  EXPECT_EQ(parent_ds_, Tags{ksk});

  layout_ = KeyLayout::csk;
  start();
  step();
  go_on(4);
  EXPECT_EQ(record(active()).role, KeyRole::csk);
  EXPECT_EQ(look().keys, Tags{active()});
  EXPECT_EQ(look().data_signed_by, Tags{active()});
  EXPECT_TRUE(record(zsk).removed);
}

}  // namespace
}  // namespace mutua::test
