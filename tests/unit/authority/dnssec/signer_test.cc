#include "authority/dnssec/signer.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "authority/dnssec/nsec_chain.h"
#include "authority/dnssec/unsign.h"
#include "authority/zone/master_file.h"
#include "dnssec/nsec3.h"
#include "trust/digest.h"
#include "wire/presentation.h"
#include "wire/rdata.h"

namespace mutua::authority {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using wire::Name;
using wire::RRType;

constexpr WallTime kNow{seconds(1'800'000'000)};
constexpr char kZone[] = R"($TTL 300
@ 3600 SOA ns1 hostmaster 1 3600 600 604800 60
@ NS ns1
ns1 A 127.0.0.1
b.c A 192.0.2.1
_80._tcp.s SRV 0 0 1 b.c
sub NS ns.sub
ns.sub A 192.0.2.2
x.sub A 192.0.2.3
)";

using Version = std::shared_ptr<const ZoneVersion>;

Name name(const std::string& text) { return Name::parse(text).value(); }

Version zone() {
  return ZoneVersion::create(name("f"), parse_master_file(kZone, "zone", name("f")).value())
      .value();
}

ZoneKey make_key(trust::Algorithm algorithm = trust::Algorithm::ed25519) {
  return ZoneKey(trust::PrivateKey::generate(algorithm).value());
}

class SignerTest : public testing::Test {
 protected:
  // Makes `change` and what the signer adds to it, as the writer does.
  Version step(const Version& base, std::vector<RRsetChange> changes, WallTime now = kNow,
               const std::vector<Name>& look_at = {}) {
    const auto before = [&](const Name& owner, RRType type) -> std::optional<RRset> {
      const auto found = base->find(owner, type);
      return found ? std::optional(*found) : std::nullopt;
    };
    ChangeSet change{base->serial(), base->serial() + 1, std::move(changes)};
    for (RRsetChange& one : change.changes) one.before = before(one.owner, one.type);
    auto soa = wire::parse_soa(base->find(name("f"), RRType::soa)->rdatas[0]).value();
    soa.serial = change.to;
    change.changes.push_back({name("f"), RRType::soa, before(name("f"), RRType::soa),
                              RRset{RRType::soa, 3600, {wire::make_soa(soa)}}});
    const Version next = base->apply(change).value();
    made_ = signer_.sign(*base, *next, change, look_at, now);
    for (RRsetChange& one : made_) {
      one.before = before(one.owner, one.type);
      change.changes.push_back(one);
    }
    return base->apply(change).value();
  }
  // All that is to be done, portion by portion.
  Version sign_all(Version version, WallTime now = kNow, std::size_t portion = 1000) {
    signer_.look_through(*version, now);
    while (signer_.has_backlog())
      version = step(version, {}, now, signer_.take_due(*version, now, portion));
    return version;
  }
  Version signed_zone() { return sign_all(zone()); }
  bool has_work(const ZoneVersion& version, WallTime now) {
    Signer looking = signer_;
    looking.look_through(version, now);
    return looking.has_backlog();
  }

  // Every signature of the zone verifies, and each RRset that needs one has one.
  void expect_verified(const ZoneVersion& version) {
    const auto dnskey =
        wire::parse_key(version.find(name("f"), RRType::dnskey)->rdatas.front()).value();
    const auto key = trust::PublicKey::create(dnskey.algorithm, dnskey.public_key).value();
    version.for_each([&](const Name& owner, const RRsetView& view) {
      const RRset rrset = view.copy();
      if (rrset.type != RRType::rrsig) return;
      for (const Bytes& rdata : rrset.rdatas) {
        const auto covered = static_cast<RRType>(load_u16(rdata.data()));
        const auto found = version.find(owner, covered);
        ASSERT_TRUE(found) << owner.to_text() << to_text(covered);
        const std::size_t fixed = 18 + name("f").wire().size();
        Bytes octets = to_bytes(BytesView(rdata).first(fixed));
        for (const Bytes& one : found->rdatas) {
          append(octets, owner.lowered().wire());
          append_u16(octets, static_cast<std::uint16_t>(covered));
          append_u16(octets, 1);
          append_u32(octets, found->ttl);
          const Bytes canonical = wire::canonical_rdata(covered, one);
          append_u16(octets, static_cast<std::uint16_t>(canonical.size()));
          append(octets, canonical);
        }
        EXPECT_TRUE(key.verify(octets, BytesView(rdata).subspan(fixed))) << owner.to_text();
      }
    });
    EXPECT_FALSE(has_work(version, kNow));
    if (denial_ == Denial::nsec3)
      expect_hashed_chain(version);
    else
      expect_chain(version);
    expect_prepared(version);
  }

  // The signed answers are those of a zone that is made anew from the same records.
  static void expect_prepared(const ZoneVersion& version) {
    std::vector<OwnedRRset> records;
    version.for_each([&](const Name& owner, const RRsetView& view) {
      records.push_back({owner, view.copy()});
    });
    const Version anew = ZoneVersion::create(version.apex(), records).value();
    version.for_each([&](const Name& owner, const RRsetView& view) {
      const auto answer = [&](const ZoneVersion& zone) {
        const ReadyRRset& ready = *zone.node(owner)->ready(view.type());
        Bytes octets = to_bytes(ready.signatures());
        append(octets, ready.signed_glue());
        return octets;
      };
      EXPECT_EQ(answer(version), answer(*anew)) << owner.to_text() << " " << to_text(view.type());
    });
  }

  // Following the NSECs from the apex visits every owner once, in order, and comes home.
  static void expect_chain(const ZoneVersion& version) {
    std::size_t owners = 0, visited = 0;
    version.for_each([&](const Name&, const RRsetView& view) {
      const RRset rrset = view.copy();
      owners += rrset.type == RRType::nsec;
    });
    Name at = name("f");
    do {
      const auto nsec = version.find(at, RRType::nsec);
      ASSERT_TRUE(nsec) << at.to_text();
      const Bytes& rdata = nsec->rdatas.front();
      std::size_t end = 0;
      ASSERT_TRUE(wire::skip_name(rdata, end));
      at = Name::from_wire(BytesView(rdata).first(end)).value();
      ASSERT_LE(++visited, owners);
    } while (at != name("f"));
    EXPECT_EQ(visited, owners);
  }

  // Every name that exists for the zone has its NSEC3, in one ring, and nothing else has one.
  static void expect_hashed_chain(const ZoneVersion& version) {
    const auto expected = hashed_owners(version);
    std::size_t count = 0;
    version.for_each([&](const Name&, const RRsetView& view) {
      const RRset rrset = view.copy();
      count += rrset.type == RRType::nsec3;
    });
    EXPECT_EQ(count, expected.size());
    for (auto at = expected.begin(); at != expected.end(); ++at) {
      const auto next = std::next(at) == expected.end() ? expected.begin() : std::next(at);
      const auto nsec3 = version.find(at->first, RRType::nsec3);
      ASSERT_TRUE(nsec3) << at->second.to_text();
      const Bytes wanted = dnssec::make_nsec3(nsec3_types(version, at->second),
                                              dnssec::nsec3_hash_of_label(next->first.label(0)));
      EXPECT_EQ(nsec3->rdatas, std::vector<Bytes>{wanted}) << at->second.to_text();
      EXPECT_TRUE(version.find(at->first, RRType::rrsig)) << at->second.to_text();
    }
    EXPECT_EQ(version.denial(), Denial::nsec3);
  }

  void deny_by_hashes() {
    denial_ = Denial::nsec3;
    signer_ = Signer(KeySet(make_key()), {}, denial_);
  }

  static std::map<Name, Name> hashed_owners(const ZoneVersion& version) {  // and whose they are
    std::map<Name, Name> owners;
    version.for_each([&](const Name& owner, const RRsetView& view) {
      const RRset rrset = view.copy();
      if (rrset.type == RRType::nsec3 || rrset.type == RRType::rrsig) return;
      for (Name at = owner;; at = at.parent()) {
        if (has_nsec3(version, at)) owners.emplace(nsec3_owner(name("f"), at).value(), at);
        if (at == name("f")) break;
      }
    });
    return owners;
  }

  // What there is of either chain is a ring of names that exist.
  static void expect_rings(const ZoneVersion& version) {
    std::map<Name, Name> nsecs;
    std::map<Name, dnssec::Nsec3Hash> nsec3s;
    version.for_each([&](const Name& owner, const RRsetView& view) {
      const RRset rrset = view.copy();
      const Bytes& rdata = rrset.rdatas.front();
      std::size_t end = 0;
      if (rrset.type == RRType::nsec && wire::skip_name(rdata, end))
        nsecs.emplace(owner, Name::from_wire(BytesView(rdata).first(end)).value());
      if (rrset.type == RRType::nsec3)
        nsec3s.emplace(owner, dnssec::parse_nsec3(rdata).value().next);
    });
    for (auto at = nsecs.begin(); at != nsecs.end(); ++at)
      EXPECT_EQ(at->second, (std::next(at) == nsecs.end() ? nsecs.begin() : std::next(at))->first);
    const auto names = hashed_owners(version);
    for (auto at = nsec3s.begin(); at != nsec3s.end(); ++at) {
      const auto next = std::next(at) == nsec3s.end() ? nsec3s.begin() : std::next(at);
      EXPECT_EQ(at->second, dnssec::nsec3_hash_of_label(next->first.label(0)));
      EXPECT_TRUE(names.contains(at->first));
    }
  }

  // Whichever chain counts is whole, whatever becomes of the other one.
  static void expect_counting_chain(const ZoneVersion& version) {
    expect_rings(version);
    if (version.denial() == Denial::nsec3) return expect_hashed_chain(version);
    ASSERT_EQ(version.denial(), Denial::nsec);
    expect_chain(version);
    version.for_each([&](const Name& owner, const RRsetView&) {
      EXPECT_EQ(version.find(owner, RRType::nsec).has_value(),
                authority_over(version, owner) != Authority::none)
          << owner.to_text();
    });
  }

  static std::size_t count(const ZoneVersion& version, RRType type) {
    std::size_t found = 0;
    version.for_each([&](const Name&, const RRsetView& view) {
      const RRset rrset = view.copy();
      found += rrset.type == type;
    });
    return found;
  }

  // The same keys, but from now on with this chain: as after a start with another configuration.
  void change_mind(const ZoneVersion& version, Denial denial) {
    denial_ = denial;
    signer_ = Signer(keys_, {}, denial);
    signer_.look_through(version, kNow);
  }

  static RRsetChange put(const std::string& text) {
    const auto record = wire::record_from_text(text, 60, name("f")).value();
    return {record.owner, record.type, std::nullopt,
            RRset{record.type, record.ttl, {record.rdata}}};
  }

  // An address, or a delegation in one of `draws`, that comes or goes at one of few names.
  static RRsetChange random_change(std::mt19937& choose, unsigned draws) {
    const std::string above[] = {"", "a.", "b.c.", "x.y."};
    const std::string owner = above[choose() % 4] + "n" + std::to_string(choose() % 6) + ".f.";
    const bool is_delegation = choose() % draws == 0;
    RRsetChange change = put(owner + (is_delegation ? " 60 NS ns1.f." : " 60 A 192.0.2.1"));
    if (choose() % 2 == 0) change.after.reset();
    return change;
  }

  Denial denial_ = Denial::nsec;
  const KeySet keys_{make_key()};
  Signer signer_{keys_, {}};
  std::vector<RRsetChange> made_;
};

TEST_F(SignerTest, SignsWhatTheZoneSpeaksForAndNothingElse) {
  const Version version = signed_zone();
  expect_verified(*version);
  EXPECT_TRUE(version->find(name("sub.f"), RRType::nsec));  // a cut, but its NS is not signed
  const auto found_rrset = version->find(name("sub.f"), RRType::rrsig);
  for (const Bytes& rdata : found_rrset->rdatas)
    EXPECT_EQ(static_cast<RRType>(load_u16(rdata.data())), RRType::nsec);
  for (const char* below : {"ns.sub.f", "x.sub.f"})
    EXPECT_FALSE(version->find(name(below), RRType::rrsig)) << below;
  EXPECT_FALSE(version->find(name("c.f"), RRType::nsec));  // an empty non-terminal
}

TEST_F(SignerTest, ByHashesEmptyNonTerminalsAreInTheChainToo) {
  deny_by_hashes();
  const Version version = signed_zone();
  expect_verified(*version);
  const auto types = [&](const char* owner) {
    return version->find(nsec3_owner(name("f"), name(owner)).value(), RRType::nsec3)->rdatas[0];
  };
  EXPECT_EQ(types("c.f").size(), 26u);        // nothing stands there
  EXPECT_EQ(types("sub.f").size(), 26u + 3);  // NS alone: not RRSIG, which nothing there has
  EXPECT_FALSE(version->find(nsec3_owner(name("f"), name("x.sub.f")).value(), RRType::nsec3));
  EXPECT_FALSE(version->find(name("f"), RRType::nsec));
}

TEST_F(SignerTest, ByHashesAChangeCostsItsOwnSignaturesOnly) {
  deny_by_hashes();
  Version version = signed_zone();
  version = step(version, {put("new.f. 60 A 192.0.2.9")});
  // The name's signature; its NSEC3 and its neighbour's with theirs; the SOA's.
  EXPECT_EQ(made_.size(), 6u);
  expect_verified(*version);
  version = step(version, {put("new.f. 60 A 192.0.2.10")});
  EXPECT_EQ(made_.size(), 2u);
  version = step(version, {put("a.b.new.f. 60 A 192.0.2.9")});  // b.new comes with it
  expect_verified(*version);
  version = step(version, {{name("new.f"), RRType::a, std::nullopt, std::nullopt}});
  expect_verified(*version);  // and stays as an empty non-terminal
  version = step(version, {{name("a.b.new.f"), RRType::a, std::nullopt, std::nullopt}});
  EXPECT_FALSE(version->node(name("new.f")));
  expect_verified(*version);
}

TEST_F(SignerTest, ByHashesNamesChangeHandsAndPortionsJoin) {
  deny_by_hashes();
  Version version = sign_all(zone(), kNow, 1);
  expect_verified(*version);
  version = step(version, {{name("sub.f"), RRType::ns, std::nullopt, std::nullopt}});
  expect_verified(*version);
  version = step(version, {put("c.f. 60 NS ns1.f.")});
  expect_verified(*version);
  version = step(version, {{name("c.f"), RRType::ns, std::nullopt, std::nullopt}});
  expect_verified(*version);
}

TEST_F(SignerTest, ByHashesTheRightChainAfterAnyChanges) {
  deny_by_hashes();
  Version version = signed_zone();
  std::mt19937 choose(5);
  for (int round = 0; round < 60; ++round) {
    const RRsetChange change = random_change(choose, 4);
    if (!change.after && !version->find(change.owner, change.type)) continue;
    version = step(version, {change});
    expect_verified(*version);
  }
}

class ChainChange : public SignerTest, public testing::WithParamInterface<Denial> {};

TEST_P(ChainChange, TheNewChainIsWholeBeforeItCountsAndTheOldOneGoesAfter) {
  change_mind(*zone(), GetParam());
  Version version = sign_all(zone());
  const Denial before = version->denial();
  ASSERT_EQ(before, GetParam());
  const Denial after = before == Denial::nsec ? Denial::nsec3 : Denial::nsec;
  change_mind(*version, after);
  std::vector<Denial> seen;
  int number = 0;
  while (signer_.has_backlog()) {
    version = step(version, {put("n" + std::to_string(number++) + ".x.f. 60 A 192.0.2.1")}, kNow,
                   signer_.take_due(*version, kNow, 1));
    expect_counting_chain(*version);
    if (seen.empty() || seen.back() != version->denial()) seen.push_back(version->denial());
    // An update that comes by itself, between two portions.
    if (number % 2 == 0)
      version = step(version, {{name("n" + std::to_string(number / 2) + ".x.f"), RRType::a,
                                std::nullopt, std::nullopt}});
    expect_counting_chain(*version);
    ASSERT_LT(number, 100);
  }
  EXPECT_EQ(seen, (std::vector{before, after}));
  EXPECT_EQ(version->find(name("f"), RRType::nsec3param).has_value(), after == Denial::nsec3);
  EXPECT_EQ(count(*version, after == Denial::nsec ? RRType::nsec3 : RRType::nsec), 0u);
  expect_verified(*version);
}

INSTANTIATE_TEST_SUITE_P(FromEach, ChainChange, testing::Values(Denial::nsec, Denial::nsec3));

TEST_F(SignerTest, AChangeOfMindInTheMidstOfAChainAndCrashesLeaveNoGap) {
  Version version = signed_zone();
  std::mt19937 choose(7);
  for (int round = 0; round < 1000; ++round) {
    const RRsetChange change = random_change(choose, 6);
    std::vector<RRsetChange> changes;
    if (change.after || version->find(change.owner, change.type)) changes.push_back(change);
    if (choose() % 15 == 0) change_mind(*version, choose() % 2 == 0 ? Denial::nsec : Denial::nsec3);
    std::vector<Name> portion;
    if (choose() % 2 == 0) portion = signer_.take_due(*version, kNow, 1 + choose() % 3);
    version = step(version, changes, kNow, portion);
    expect_counting_chain(*version);
  }
  for (const Denial denial : {Denial::nsec3, Denial::nsec}) {
    change_mind(*version, denial);
    version = sign_all(version, kNow, 2);
    EXPECT_EQ(count(*version, denial == Denial::nsec ? RRType::nsec3 : RRType::nsec), 0u);
    expect_verified(*version);
  }
}

// An authority beside this one that was not told of the change drops what it touches.
TEST_F(SignerTest, AChainWithAGapIsMendedBeforeItCounts) {
  Version version = signed_zone();
  Signer other = signer_;
  change_mind(*version, Denial::nsec3);
  while (signer_.progress().done < signer_.progress().total)
    version = step(version, {}, kNow, signer_.take_due(*version, kNow, 1));
  std::swap(signer_, other);
  version = step(version, {put("gap.f. 60 A 192.0.2.1"), put("ns1.f. 60 TXT x")});
  std::swap(signer_, other);
  while (signer_.has_backlog()) {
    version = step(version, {}, kNow, signer_.take_due(*version, kNow, 1));
    expect_counting_chain(*version);
  }
  expect_verified(*version);
}

TEST_F(SignerTest, AChainOfAnotherKindIsNotTakenOver) {
  const Version version = signed_zone();
  EXPECT_TRUE(Signer::can_take_over(*version));
  EXPECT_FALSE(Signer::can_take_over(*step(version, {put("f. 0 NSEC3PARAM 1 0 0 AABB")})));
}

TEST_F(SignerTest, AChangeCostsItsOwnSignaturesOnly) {
  Version version = signed_zone();
  version = step(version, {put("new.f. 60 A 192.0.2.9")});
  // The new name's NSEC and signatures, its neighbour's, the SOA's.
  EXPECT_EQ(made_.size(), 5u);
  expect_verified(*version);
  version = step(version, {put("new.f. 60 A 192.0.2.10")});
  EXPECT_EQ(made_.size(), 2u);
  expect_verified(*version);
  version = step(version, {{name("new.f"), RRType::a, std::nullopt, std::nullopt}});
  EXPECT_FALSE(version->node(name("new.f")));
  expect_verified(*version);
}

TEST_F(SignerTest, APeerThatMovesMovesInSignedAnswersToo) {
  const Version version = step(signed_zone(), {put("b.c.f. 60 A 192.0.2.77")});
  const auto* ready = version->node(name("_80._tcp.s.f"))->ready(RRType::srv);
  EXPECT_EQ(ready->signature_count, 1);
  EXPECT_EQ(ready->signed_glue_count, 2);
  expect_verified(*version);
}

TEST_F(SignerTest, NamesChangeHandsWhenACutComesOrGoes) {
  Version version = step(signed_zone(), {{name("sub.f"), RRType::ns, std::nullopt, std::nullopt}});
  EXPECT_TRUE(version->find(name("x.sub.f"), RRType::rrsig));
  expect_verified(*version);
  version = step(version, {put("c.f. 60 NS ns1.f.")});
  EXPECT_FALSE(version->find(name("b.c.f"), RRType::rrsig));
  expect_verified(*version);
}

TEST_F(SignerTest, SignaturesAreRenewedBeforeTheyEndAndNotAllAtOnce) {
  const Version version = signed_zone();
  EXPECT_TRUE(signer_.take_due(*version, kNow + hours(24), 1000).empty());
  const auto first_day = signer_.take_due(*version, kNow + hours(24 * 4 + 20), 1000);
  const auto rest = signer_.take_due(*version, kNow + hours(24 * 7 + 1), 1000);
  EXPECT_EQ(first_day.size() + rest.size(), 5u);  // f, ns1, b.c, sub, the list
  std::vector<Name> due = first_day;
  due.insert(due.end(), rest.begin(), rest.end());
  const WallTime later = kNow + hours(24 * 7 + 1);
  const Version renewed = step(version, {}, later, due);
  renewed->for_each([&](const Name&, const RRsetView& view) {
    const RRset rrset = view.copy();
    if (rrset.type != RRType::rrsig) return;
    for (const Bytes& rdata : rrset.rdatas)
      EXPECT_GT(read_rrsig(rdata, later)->expiration, later + hours(24 * 7));
  });
  EXPECT_FALSE(has_work(*renewed, later));
}

TEST_F(SignerTest, AnotherKeyReplacesAllSignatures) {
  const Version version = signed_zone();
  EXPECT_FALSE(has_work(*version, kNow));
  signer_.set_keys(KeySet(make_key(trust::Algorithm::ecdsa_p256_sha256)));
  EXPECT_TRUE(has_work(*version, kNow));
  expect_verified(*sign_all(version));
}

TEST_F(SignerTest, AZoneIsSignedInPortionsAndPassesForUnsignedUntilTheLast) {
  Version version = zone();
  signer_.look_through(*version, kNow);
  EXPECT_EQ(signer_.progress().total, 5u);
  // What an update brings meanwhile is signed with it.
  while (signer_.progress().done < signer_.progress().total) {
    EXPECT_FALSE(version->is_signed());
    const auto portion = signer_.take_due(*version, kNow, 2);
    const std::string fresh = "new" + std::to_string(version->serial()) + ".f.";
    version = step(version, {put(fresh + " 60 A 192.0.2.9")}, kNow, portion);
  }
  EXPECT_FALSE(signer_.has_backlog());
  EXPECT_TRUE(version->is_signed());
  expect_verified(*version);
}

TEST_F(SignerTest, WorkThatWasCutShortGoesOnWhereItEnded) {
  Version version = zone();
  signer_.look_through(*version, kNow);
  version = step(version, {}, kNow, signer_.take_due(*version, kNow, 3));
  signer_.look_through(*version, kNow);  // as after a restart
  EXPECT_EQ(signer_.progress().total, 2u);
  expect_verified(*sign_all(version, kNow, 1));
}

TEST_F(SignerTest, EveryPublishedKeySignsTheKeysAndTheActiveOneTheRest) {
  const ZoneKey old = make_key(), next = make_key();
  signer_.set_keys(KeySet({{old, true, true}, {next, false, false}}));
  Version version = signed_zone();
  const auto signers = [&](RRType type) {
    std::set<std::uint16_t> tags;
    const auto found_rrset = version->find(name("f"), RRType::rrsig);
    for (const Bytes& rdata : found_rrset->rdatas)
      if (const auto facts = read_rrsig(rdata, kNow); facts->covered == type)
        tags.insert(facts->key_tag);
    return tags;
  };
  const std::set<std::uint16_t> both{old.tag(), next.tag()};
  EXPECT_EQ(version->find(name("f"), RRType::dnskey)->rdatas.size(), 2u);
  EXPECT_EQ(version->find(name("f"), RRType::cds)->rdatas, std::vector<Bytes>{old.ds(name("f"))});
  EXPECT_EQ(signers(RRType::dnskey), both);
  EXPECT_EQ(signers(RRType::cds), both);
  EXPECT_EQ(signers(RRType::cdnskey), both);
  EXPECT_EQ(signers(RRType::soa), std::set{old.tag()});
  // The new one takes over, the old one stays known; then it goes.
  signer_.set_keys(KeySet({{old, false, false}, {next, true, true}}));
  version = sign_all(version, kNow, 1);
  EXPECT_EQ(signers(RRType::dnskey), both);
  EXPECT_EQ(signers(RRType::soa), std::set{next.tag()});
  EXPECT_EQ(version->find(name("f"), RRType::cdnskey)->rdatas, std::vector<Bytes>{next.dnskey()});
  signer_.set_keys(KeySet(next));
  expect_verified(*sign_all(version));
}

TEST_F(SignerTest, WhatWasSignedCanBeAnUnsignedZoneAgain) {
  const Version version = signed_zone();
  EXPECT_TRUE(has_dnssec_records(*version));
  ChangeSet change{version->serial(), version->serial(), remove_dnssec_records(*version)};
  const Version plain = version->apply(change).value();
  EXPECT_FALSE(has_dnssec_records(*plain));
  EXPECT_EQ(plain->rrset_count(), zone()->rrset_count());
}

TEST(ZoneKey, TheDsIsThatOfTheDnskey) {
  const ZoneKey key = make_key();
  Bytes covered = to_bytes(name("fed.example").wire());
  append(covered, key.dnskey());
  EXPECT_EQ(key.ds_text(name("FED.example")), "FED.example. IN DS " +
                                                  std::to_string(wire::key_tag(key.dnskey())) +
                                                  " 15 2 " + trust::sha256(covered).hex());
}

}  // namespace
}  // namespace mutua::authority
