#include "authority/zone/zone_version.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "wire/presentation.h"

namespace mutua::authority {
namespace {

using wire::Name;
using wire::RRType;

Name name(const std::string& text) { return Name::parse(text).value(); }

OwnedRRset owned(const std::string& text) {
  const wire::Record record = wire::record_from_text(text, 300, name("fed.test")).value();
  return {record.owner, {record.type, record.ttl, {record.rdata}}};
}

OwnedRRset soa(std::uint32_t serial) {
  return owned("fed.test. 300 IN SOA ns1.fed.test. h.fed.test. " + std::to_string(serial) +
               " 3600 600 604800 60");
}

std::vector<OwnedRRset> base() {
  return {soa(1), owned("fed.test. 300 IN NS ns1.fed.test."),
          owned("ns1.fed.test. 300 IN A 127.0.0.1")};
}

using Version = std::shared_ptr<const ZoneVersion>;

Version create(std::vector<OwnedRRset> more = {}) {
  auto all = base();
  all.insert(all.end(), more.begin(), more.end());
  return ZoneVersion::create(name("fed.test"), all).value();
}

// The change that puts `after` in place of what stands there, with the SOA that belongs to it.
ChangeSet change(const Version& version, std::vector<RRsetChange> changes) {
  const auto current = [&](const Name& owner, RRType type) -> std::optional<RRset> {
    const auto present = version->find(owner, type);
    return present ? std::optional(*present) : std::nullopt;
  };
  ChangeSet set{version->serial(), version->serial() + 1, std::move(changes)};
  for (RRsetChange& one : set.changes) one.before = current(one.owner, one.type);
  const OwnedRRset next = soa(set.to);
  set.changes.push_back({next.owner, RRType::soa, current(next.owner, RRType::soa), next.rrset});
  return set;
}

RRsetChange put(const std::string& text) {
  const OwnedRRset rrset = owned(text);
  return {rrset.owner, rrset.rrset.type, std::nullopt, rrset.rrset};
}
RRsetChange remove(const std::string& owner, RRType type) {
  return {name(owner), type, std::nullopt, std::nullopt};
}

TEST(ZoneVersion, NeedsAnApexWithSoaAndNs) {
  const auto apex = name("fed.test");
  EXPECT_FALSE(ZoneVersion::create(apex, {}));
  EXPECT_FALSE(ZoneVersion::create(apex, {base()[0]}));
  EXPECT_FALSE(ZoneVersion::create(apex, {base()[1]}));
  EXPECT_TRUE(ZoneVersion::create(apex, base()));
}

TEST(ZoneVersion, RefusesNamesOutsideAndCompanyOfCname) {
  const auto refuses = [](const std::vector<std::string>& texts) {
    auto all = base();
    for (const auto& text : texts) all.push_back(owned(text));
    return !ZoneVersion::create(name("fed.test"), all);
  };
  EXPECT_TRUE(refuses({"example.org. 300 IN A 192.0.2.1"}));
  EXPECT_TRUE(refuses({"c.fed.test. 300 IN CNAME a.fed.test.", "c.fed.test. 300 IN A 192.0.2.1"}));
  EXPECT_TRUE(refuses({"a.fed.test. 300 IN A 192.0.2.1", "A.fed.test. 300 IN A 192.0.2.2"}));
  EXPECT_FALSE(refuses({"c.fed.test. 300 IN CNAME a.fed.test."}));
}

TEST(ZoneVersion, FindsNamesWhateverTheirCase) {
  const auto version = create({owned("MiXeD.fed.test. 300 IN A 192.0.2.3")});
  ASSERT_NE(version->node(name("mixed.FED.test")), nullptr);
  EXPECT_EQ(version->node(name("mixed.fed.test"))->owner().to_text(), "MiXeD.fed.test.");
  EXPECT_EQ(version->rrset_count(), 4u);
}

TEST(ZoneVersion, ApplyChangesTheNewVersionAlone) {
  const auto first = create();
  const auto second = first->apply(change(first, {put("a.fed.test. 300 IN A 192.0.2.1")})).value();
  EXPECT_EQ(first->node(name("a.fed.test")), nullptr);
  EXPECT_EQ(first->serial(), 1u);
  EXPECT_TRUE(second->find(name("a.fed.test"), RRType::a));
  EXPECT_EQ(second->serial(), 2u);
  EXPECT_EQ(second->rrset_count(), first->rrset_count() + 1);
  // What did not change is shared, not copied.
  EXPECT_EQ(first->node(name("ns1.fed.test")), second->node(name("ns1.fed.test")));
}

TEST(ZoneVersion, ApplyRefusesAChangeFromElsewhere) {
  const auto first = create();
  ChangeSet wrong_serial = change(first, {put("a.fed.test. 300 IN A 192.0.2.1")});
  wrong_serial.from = 7;
  EXPECT_FALSE(first->apply(wrong_serial));
  ChangeSet wrong_before = change(first, {put("ns1.fed.test. 300 IN A 192.0.2.1")});
  wrong_before.changes[0].before->ttl = 1;
  EXPECT_FALSE(first->apply(wrong_before));
  ChangeSet unexpected = change(first, {put("a.fed.test. 300 IN A 192.0.2.1")});
  unexpected.changes[0].before = unexpected.changes[0].after;
  EXPECT_FALSE(first->apply(unexpected));
  ChangeSet wrong_target = change(first, {});
  wrong_target.to = 9;
  EXPECT_FALSE(first->apply(wrong_target));
  EXPECT_FALSE(first->apply(change(first, {remove("fed.test", RRType::ns)})));
  EXPECT_FALSE(first->apply(change(first, {put("x.org. 300 IN A 192.0.2.1")})));
}

TEST(ZoneVersion, EmptyNonTerminalsLiveWhileSomethingIsBelow) {
  const auto first = create();
  const auto second = first
                          ->apply(change(first, {put("a.b.c.fed.test. 300 IN A 192.0.2.1"),
                                                 put("x.c.fed.test. 300 IN A 192.0.2.1")}))
                          .value();
  for (const char* between : {"b.c.fed.test", "c.fed.test"}) {
    EXPECT_EQ(first->node(name(between)), nullptr);
    ASSERT_NE(second->node(name(between)), nullptr);
    EXPECT_TRUE(second->node(name(between))->rrsets().empty());
  }
  const auto third = second->apply(change(second, {remove("a.b.c.fed.test", RRType::a)})).value();
  EXPECT_EQ(third->node(name("b.c.fed.test")), nullptr);
  EXPECT_NE(third->node(name("c.fed.test")), nullptr);
  const auto fourth = third->apply(change(third, {remove("x.c.fed.test", RRType::a)})).value();
  EXPECT_EQ(fourth->node(name("c.fed.test")), nullptr);
  EXPECT_NE(second->node(name("b.c.fed.test")), nullptr);  // the older version still stands
}

TEST(ZoneVersion, AParentThatLosesItsRecordsBecomesAnEmptyNonTerminal) {
  const auto first =
      create({owned("p.fed.test. 300 IN A 192.0.2.1"), owned("c.p.fed.test. 300 IN A 192.0.2.1")});
  const auto second = first->apply(change(first, {remove("p.fed.test", RRType::a)})).value();
  ASSERT_NE(second->node(name("p.fed.test")), nullptr);
  EXPECT_TRUE(second->node(name("p.fed.test"))->rrsets().empty());
}

TEST(ZoneVersion, CountsItsCuts) {
  const auto first = create();
  EXPECT_EQ(first->cut_count(), 0u);
  const auto second = first
                          ->apply(change(first, {put("sub.fed.test. 300 IN NS ns1.fed.test."),
                                                 put("d.fed.test. 300 IN DNAME e.fed.test.")}))
                          .value();
  EXPECT_EQ(second->cut_count(), 2u);
  const auto third = second->apply(change(second, {remove("sub.fed.test", RRType::ns)})).value();
  EXPECT_EQ(third->cut_count(), 1u);
}

TEST(ZoneVersion, NormalizesWhatItTakes) {
  OwnedRRset twice = owned("a.fed.test. 300 IN A 192.0.2.2");
  twice.rrset.rdatas = {{192, 0, 2, 2}, {192, 0, 2, 1}, {192, 0, 2, 2}};
  const auto version = create({twice});
  EXPECT_EQ(version->find(name("a.fed.test"), RRType::a)->rdatas,
            (std::vector<Bytes>{{192, 0, 2, 1}, {192, 0, 2, 2}}));
}

// A version made anew from the records of another.
Version made_anew(const ZoneVersion& version) {
  std::vector<OwnedRRset> records;
  version.for_each([&](const Name& owner, const RRsetView& view) {
    records.push_back({owner, view.copy()});
  });
  return ZoneVersion::create(version.apex(), std::move(records)).value();
}

// Many random changes against a plain map, every version kept to see that none moves; now and then
// they go on from a version that was made anew.
TEST(ZoneVersion, RandomChangesMatchAPlainMap) {
  std::mt19937 random(1);
  std::map<std::string, std::uint32_t> model;
  Version version = create();
  std::vector<std::pair<Version, std::map<std::string, std::uint32_t>>> history;
  for (int step = 0; step < 400; ++step) {
    std::map<std::string, RRsetChange> changes;
    for (unsigned i = 0; i < 1 + random() % 8; ++i) {
      std::string owner = "n" + std::to_string(random() % 200) + ".fed.test.";
      if (random() % 2) owner = "m" + std::to_string(random() % 5) + "." + owner;
      if (random() % 3) {
        const auto value = static_cast<std::uint32_t>(random() % 250);
        changes.insert_or_assign(owner, put(owner + " 300 IN A 192.0.2." + std::to_string(value)));
      } else {
        changes.insert_or_assign(owner, remove(owner, RRType::a));
      }
    }
    std::vector<RRsetChange> list;
    for (auto& [owner, one] : changes) {
      if (one.after)
        model[owner] = one.after->rdatas[0][3];
      else
        model.erase(owner);
      list.push_back(one);
    }
    if (step % 20 == 19) version = made_anew(*version);
    version = version->apply(change(version, std::move(list))).value();
    history.emplace_back(version, model);
  }
  for (const auto& [past, expected] : history) {
    std::map<std::string, std::uint32_t> seen;
    past->for_each([&](const Name& owner, const RRsetView& view) {
      const RRset rrset = view.copy();
      if (rrset.type == RRType::a && owner != name("ns1.fed.test"))
        seen[owner.to_text()] = rrset.rdatas[0][3];
    });
    ASSERT_EQ(seen, expected);
    ASSERT_EQ(past->rrset_count(), expected.size() + 3);
  }
  for (unsigned i = 0; i < 200; ++i) {
    const std::string parent = "n" + std::to_string(i) + ".fed.test.";
    bool expected = model.contains(parent);
    for (int child = 0; child < 5; ++child)
      expected = expected || model.contains("m" + std::to_string(child) + "." + parent);
    EXPECT_EQ(version->node(name(parent)) != nullptr, expected) << parent;
  }
}

// Every prepared octet of the zone, by owner and type.
std::map<std::pair<std::string, RRType>, Bytes> prepared(const ZoneVersion& version) {
  std::map<std::pair<std::string, RRType>, Bytes> all;
  version.for_each([&](const Name& owner, const RRsetView& view) {
    const RRset rrset = view.copy();
    const ReadyRRset* ready = version.node(owner)->ready(rrset.type);
    Bytes& octets = all[{owner.to_text(), rrset.type}] = to_bytes(ready->whole_answer());
    append(octets, ready->signatures());
    append(octets, ready->signed_glue());
  });
  return all;
}

// Peers that come, go and move, under services that come, go and choose others: after each change
// the prepared answers are those of a zone that is made anew from the same records.
TEST(ZoneVersion, PreparedAnswersFollowTheAddressesThatTheyCarry) {
  std::mt19937 random(2);
  const auto number = [&](unsigned below) { return std::to_string(random() % below); };
  Version version = create();
  for (int step = 0; step < 300; ++step) {
    std::map<std::pair<std::string, RRType>, RRsetChange> changes;
    for (unsigned i = 0; i < 1 + random() % 4; ++i) {
      const std::string peer = "p" + number(6) + ".fed.test.";
      const std::string service = "s" + number(20) + ".fed.test.";
      // A peer that offers a service too is both a target and one that refers.
      const std::string owner = random() % 4 == 0 ? peer : service;
      switch (random() % 5) {
        case 0:
          changes.insert_or_assign({peer, RRType::a},
                                   put(peer + " 60 IN A 192.0.2." + number(250)));
          break;
        case 1:
          changes.insert_or_assign({peer, RRType::aaaa}, put(peer + " 60 IN AAAA ::" + number(99)));
          break;
        case 2:
          changes.insert_or_assign({peer, RRType::a}, remove(peer, RRType::a));
          break;
        case 3:
          changes.insert_or_assign({owner, RRType::srv}, remove(owner, RRType::srv));
          break;
        default: {
          OwnedRRset list = owned(owner + " 60 IN SRV 0 0 1 p" + number(6) + ".fed.test.");
          for (unsigned more = 0; more < random() % 3; ++more)
            list.rrset.rdatas.push_back(
                owned(owner + " 60 IN SRV 0 0 2 p" + number(6) + ".fed.test.").rrset.rdatas[0]);
          changes.insert_or_assign({owner, RRType::srv},
                                   RRsetChange{list.owner, RRType::srv, std::nullopt, list.rrset});
        }
      }
    }
    std::vector<RRsetChange> list;
    for (auto& [place, one] : changes) list.push_back(one);
    if (step % 10 == 9) version = made_anew(*version);
    const Version before = version;
    const auto prepared_before = prepared(*before);
    version = version->apply(change(version, std::move(list))).value();
    ASSERT_EQ(prepared(*version), prepared(*made_anew(*version)));
    ASSERT_EQ(prepared(*before), prepared_before);  // no answer of an older version moves
  }
}

TEST(ZoneVersion, AMovedPeerMovesInAllListsAtOnce) {
  std::vector<OwnedRRset> records{owned("p.fed.test. 60 IN A 192.0.2.1")};
  for (int i = 0; i < 5000; ++i)
    records.push_back(owned("s" + std::to_string(i) + ".fed.test. 60 IN SRV 0 0 1 p.fed.test."));
  const auto first = create(records);
  const auto second = first->apply(change(first, {put("p.fed.test. 60 IN A 192.0.2.2")})).value();
  for (int i = 0; i < 5000; ++i) {
    const auto* node = second->node(name("s" + std::to_string(i) + ".fed.test"));
    ASSERT_EQ(node->ready(RRType::srv)->whole_answer().back(), 2) << i;
  }
}

TEST(ZoneVersion, AnswersRenewedLaterAreThoseThatEachChangeWouldHaveMade) {
  std::vector<OwnedRRset> records{owned("p.fed.test. 60 IN A 192.0.2.1"),
                                  owned("q.fed.test. 60 IN A 192.0.2.1")};
  for (const char* target : {"p", "q"})
    for (int i = 0; i < 3; ++i)
      records.push_back(owned(target + std::to_string(i) + ".fed.test. 60 IN SRV 0 0 1 " + target +
                              ".fed.test."));
  const auto first = create(records);
  const char* const steps[] = {"p.fed.test. 60 IN A 192.0.2.2", "q.fed.test. 60 IN A 192.0.2.3",
                               "new.fed.test. 60 IN SRV 0 0 1 p.fed.test.",
                               "p.fed.test. 60 IN A 192.0.2.4"};
  auto at_once = first, late = first;
  for (const char* const step : steps) {
    at_once = at_once->apply(change(at_once, {put(step)})).value();
    late = late->apply(change(late, {put(step)}), Renewal::later).value();
    EXPECT_FALSE(late->is_renewed());
  }
  EXPECT_EQ(late->node(name("p0.fed.test"))->ready(RRType::srv)->whole_answer().back(), 1);
  late = late->renewed();
  EXPECT_TRUE(late->is_renewed());
  for (const char* owner : {"p0", "p1", "p2", "q0", "q1", "q2", "new"}) {
    const wire::Name one = name(std::string(owner) + ".fed.test");
    const BytesView made = late->node(one)->ready(RRType::srv)->whole_answer();
    EXPECT_TRUE(std::ranges::equal(made, at_once->node(one)->ready(RRType::srv)->whole_answer()));
    EXPECT_EQ(made.back(), owner[0] == 'q' ? 3 : 4);
  }
}

std::unique_ptr<const ZoneNode> colliding(int i, std::uint64_t hash) {
  const auto no_addresses = [](BytesView, std::uint64_t, RRType) { return std::nullopt; };
  ReadyBlockMaker maker;
  NodeContent::Reference content(name("n" + std::to_string(i)).wire(), {}, no_addresses, maker);
  return std::make_unique<const ZoneNode>(std::move(content), 0u, hash);
}

class NameTrieOfColliding : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(OneByOneAndAtOnce, NameTrieOfColliding, testing::Bool());

TEST_P(NameTrieOfColliding, TellsApartNamesWhoseHashesCollide) {
  constexpr std::uint64_t kSame = 0x0123456789abcdef;
  std::vector<std::unique_ptr<const ZoneNode>> nodes;
  for (int i = 0; i < 100; ++i) nodes.push_back(colliding(i, kSame));
  NameTrie<ZoneNode> trie;
  if (GetParam())
    trie = NameTrie<ZoneNode>::of(std::move(nodes));
  else
    for (auto& node : nodes) trie.put(std::move(node));
  int same = 0;
  trie.for_each_with_hash(kSame, [&](const ZoneNode&) { ++same; });
  EXPECT_EQ(same, 100);
  trie.for_each_with_hash(kSame + 1, [&](const ZoneNode&) { ++same; });
  EXPECT_EQ(same, 100);
  const NameTrie<ZoneNode> before = trie;
  for (int i = 0; i < 100; i += 2)
    trie.erase(FoldedName(name("n" + std::to_string(i))).wire(), kSame);
  for (int i = 0; i < 100; ++i) {
    const FoldedName folded(name("n" + std::to_string(i)));
    EXPECT_EQ(trie.find(folded.wire(), kSame) != nullptr, i % 2 == 1) << i;
    EXPECT_NE(before.find(folded.wire(), kSame), nullptr) << i;
  }
  for (int i = 1; i < 100; i += 2)
    trie.erase(FoldedName(name("n" + std::to_string(i))).wire(), kSame);
  int left = 0;
  trie.for_each([&](const ZoneNode&) { ++left; });
  EXPECT_EQ(left, 0);
}

}  // namespace
}  // namespace mutua::authority
