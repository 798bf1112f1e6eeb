#include "resolver/mirror/mirror_zone.h"

#include <gtest/gtest.h>

#include <set>

#include "base/durable_file.h"
#include "resolver/mirror/mirror_answers.h"
#include "resolver/mirror/mirror_file.h"
#include "resolver/mirror/mirror_proof.h"
#include "resolver/validation/validator.h"
#include "support/foreign_zones.h"
#include "support/records_of.h"
#include "support/signed_zone.h"
#include "support/temporary_folder.h"
#include "wire/rdata.h"

namespace mutua::resolver {
namespace {

using wire::Name;
using wire::Rcode;
using wire::Record;
using wire::RRType;

constexpr WallTime kNow{std::chrono::seconds(1'800'000'000)};
const std::atomic<bool> kNotCancelled{false};

Name name(const std::string& text) { return Name::parse(text).value(); }

std::variant<ProvenMirror, Flaw> prove(MirrorZone::Shared zone, const std::string& anchor,
                                       const ProvenMirror* before = nullptr, WallTime now = kNow) {
  TrustAnchors anchors(zone->apex());
  EXPECT_TRUE(anchors.add(anchor).ok());
  return prove_mirror(std::move(zone), anchors, now, before, kNotCancelled);
}

std::string flaw_of(const std::variant<ProvenMirror, Flaw>& proven) {
  const auto* flaw = std::get_if<Flaw>(&proven);
  return flaw ? flaw->text : "";
}

class ForeignMirrorTest : public testing::TestWithParam<ForeignZone> {
 protected:
  MirrorZone::Shared zone(std::vector<Record> records) const {
    return MirrorZone::create(name("fed.example."), std::move(records)).value();
  }
  std::vector<Record> records() const { return records_of(GetParam().records); }
};
INSTANTIATE_TEST_SUITE_P(, ForeignMirrorTest, testing::ValuesIn(kForeignZones));

TEST_P(ForeignMirrorTest, AZoneThatOthersSignedIsProvenWhole) {
  const auto proven = prove(zone(records()), GetParam().trust_anchor);
  ASSERT_EQ(flaw_of(proven), "");
  const bool has_zonemd = std::string(GetParam().records).find("ZONEMD") != std::string::npos;
  EXPECT_EQ(std::get<ProvenMirror>(proven).by_digest, has_zonemd);
  EXPECT_EQ(std::get<ProvenMirror>(proven).valid_until,
            WallTime(std::chrono::seconds(2'082'758'400)));
  EXPECT_NE(flaw_of(prove(zone(records()), GetParam().trust_anchor, nullptr,
                          WallTime(std::chrono::seconds(2'082'758'401)))),
            "");
}

// Glue and the NS of a cut are nobody's to sign, but a digest covers them too.
bool is_unsigned(const Record& record) {
  static const Name cuts[]{name("sub.fed.example."), name("secure.fed.example.")};
  for (const Name& cut : cuts) {
    if (record.owner == cut && record.type == RRType::ns) return true;
    if (record.owner != cut && record.owner.is_at_or_below(cut)) return true;
  }
  return false;
}

TEST_P(ForeignMirrorTest, NoRecordCanBeAlteredOrLeftOut) {
  const auto all = records();
  const bool has_digest =
      std::get<ProvenMirror>(prove(zone(all), GetParam().trust_anchor)).by_digest;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool is_soa = all[i].type == RRType::soa;
    if (is_unsigned(all[i]) && !has_digest) continue;
    auto altered = all;
    altered[i].rdata.back() ^= 1;
    const auto one = MirrorZone::create(name("fed.example."), altered);
    EXPECT_TRUE(!one || flaw_of(prove(*one, GetParam().trust_anchor)) != "")
        << wire::to_text(all[i]);
    if (is_soa) continue;
    altered = all;
    altered.erase(altered.begin() + static_cast<std::ptrdiff_t>(i));
    // Without its ZONEMD a zone is still proven by its signatures, but then the NSEC lists it.
    EXPECT_NE(flaw_of(prove(zone(altered), GetParam().trust_anchor)), "") << wire::to_text(all[i]);
  }
}

TEST_P(ForeignMirrorTest, NoNameCanBeAddedOrLeftOutWhole) {
  std::set<Name> owners;
  for (const Record& one : records()) owners.insert(one.owner);
  for (const Name& owner : owners) {
    auto fewer = records();
    std::erase_if(fewer, [&](const Record& one) { return one.owner == owner; });
    const bool is_glue =
        owner == name("ns.sub.fed.example.") || owner == name("ns.secure.fed.example.");
    if (owner == name("fed.example.") || is_glue) continue;
    EXPECT_NE(flaw_of(prove(zone(fewer), GetParam().trust_anchor)), "") << owner.to_text();
  }
  auto more = records();
  more.push_back(records_of("evil.fed.example. 60 IN A 192.0.2.66\n").front());
  EXPECT_NE(flaw_of(prove(zone(more), GetParam().trust_anchor)), "");
}

TEST_P(ForeignMirrorTest, WhateverItAnswersTheValidatorBelieves) {
  const auto mirror = zone(records());
  TrustAnchors anchors(name("fed.example."));
  ASSERT_TRUE(anchors.add(GetParam().trust_anchor).ok());
  const auto keys = std::get<ProvenKeys>(prove_keys(
      signed_rrset(mirror->apex_node(), *mirror->apex_node().find(RRType::dnskey)), anchors, kNow));
  std::set<Name> asked;
  for (const auto& node : mirror->nodes()) {
    for (const char* below : {"", "zzz.", "!.", "a.b."})
      asked.insert(below[0] ? name(below).under(node->owner).value() : node->owner);
    asked.insert(node->owner.parent());
  }
  std::map<Rcode, int> counts;
  for (const Name& one : asked) {
    if (!one.is_at_or_below(mirror->apex())) continue;
    for (const RRType type : {RRType::a, RRType::txt, RRType::srv, RRType::ds, RRType::cname,
                              RRType::ns, RRType::key, RRType::any}) {
      const wire::Question question{one, type, wire::RRClass::in};
      wire::Message said = answer_from(*mirror, question);
      ++counts[said.header.rcode];
      const auto flaw = validate(question, keys.keys, kNow, said);
      EXPECT_FALSE(flaw) << one.to_text() << " " << to_text(type) << ": " << flaw->text;
    }
  }
  EXPECT_GT(counts[Rcode::noerror], 100);
  EXPECT_GT(counts[Rcode::nxdomain], 100);
}

TEST_P(ForeignMirrorTest, TheFileBringsTheSameZoneBackOrNothing) {
  const test::TemporaryFolder folder;
  const auto path = folder / "zone.mirror";
  const auto before = zone(records());
  ASSERT_TRUE(save_mirror(path, *before).ok());
  const auto after = load_mirror(path, name("fed.example."));
  ASSERT_TRUE(after.ok());
  ASSERT_EQ((*after)->nodes().size(), before->nodes().size());
  for (std::size_t i = 0; i < before->nodes().size(); ++i)
    EXPECT_EQ((*after)->nodes()[i]->rrsets, before->nodes()[i]->rrsets);
  EXPECT_EQ(flaw_of(prove(*after, GetParam().trust_anchor)), "");
  Bytes content = read_file(path, kLargestMirrorFile).value();
  for (std::size_t i = 0; i < content.size(); i += 97) {
    Bytes damaged = content;
    damaged[i] ^= 0x10;
    EXPECT_FALSE(read_mirror(damaged, name("fed.example.")).ok()) << i;
    EXPECT_FALSE(read_mirror(BytesView(content).first(i), name("fed.example.")).ok()) << i;
  }
  EXPECT_FALSE(read_mirror(content, name("other.example.")).ok());
}

TEST_P(ForeignMirrorTest, AnswersAreThoseOfAnAuthority) {
  const auto mirror = zone(records());
  const auto ask = [&](const char* owner, RRType type) {
    return answer_from(*mirror, {name(owner), type, wire::RRClass::in});
  };
  EXPECT_EQ(ask("www.fed.example.", RRType::txt).answer.size(), 4u) << "CNAME, TXT, and signatures";
  const auto served = ask("_80._tcp.blog.fed.example.", RRType::srv);
  EXPECT_EQ(served.additional.size(), 4u) << "A, AAAA, and signatures";
  EXPECT_EQ(ask("q.wild.fed.example.", RRType::txt).answer[0].owner, name("q.wild.fed.example."));
  EXPECT_EQ(ask("x.old.fed.example.", RRType::a).answer.back().type, RRType::rrsig);
  EXPECT_EQ(ask("nobody.fed.example.", RRType::a).header.rcode, Rcode::nxdomain);
  EXPECT_EQ(ask("under.nothing.fed.example.", RRType::a).header.rcode, Rcode::noerror);
  const auto referral = ask("x.sub.fed.example.", RRType::a);
  EXPECT_TRUE(referral.answer.empty());
  EXPECT_EQ(referral.authority.front().type, RRType::ns);
  EXPECT_EQ(ask("away.fed.example.", RRType::txt).answer.front().type, RRType::cname);
}

// ---------------------------------------------------------------- differences

std::string soa(unsigned serial) {
  return "f. 60 IN SOA ns.f. h.f. " + std::to_string(serial) + " 1 1 1 60\n";
}

// What leads from one list of records to another.
zone_transfer::Differences between(const std::vector<Record>& from, const std::vector<Record>& to) {
  zone_transfer::Difference step;
  const auto missing = [](const std::vector<Record>& in, const Record& one) {
    return std::find(in.begin(), in.end(), one) == in.end();
  };
  for (const Record& one : from) {
    if (one.type == RRType::soa) step.old_soa = one;
    if (one.type != RRType::soa && missing(to, one)) step.removed.push_back(one);
  }
  for (const Record& one : to) {
    if (one.type == RRType::soa) step.new_soa = one;
    if (one.type != RRType::soa && missing(from, one)) step.added.push_back(one);
  }
  return {{std::move(step)}};
}

class DifferencesTest : public testing::Test {
 protected:
  static constexpr std::uint32_t kEnd = 1'800'100'000;
  MirrorZone::Shared whole(const std::vector<Record>& records) const {
    return MirrorZone::create(name("f."), records).value();
  }
  ProvenMirror proven(const std::vector<Record>& records) const {
    return std::get<ProvenMirror>(prove(whole(records), signer_.trust_anchor()));
  }

  const SignedZone signer_{"f."};
  const std::string base_ = "f. 60 IN NS ns.f.\nns.f. 60 IN A 192.0.2.1\nb.f. 60 IN TXT b\n";
  const std::vector<Record> first_ = signer_.sign(soa(1) + base_, kEnd);
};

TEST_F(DifferencesTest, LeadToTheSameVersionAsTheWholeZone) {
  const auto second = signer_.sign(soa(2) + base_ + "a.f. 60 IN A 192.0.2.2\n", kEnd);
  const ProvenMirror before = proven(first_);
  const auto next = before.zone->with(between(first_, second));
  ASSERT_TRUE(next.ok());
  EXPECT_EQ((*next)->serial(), 2u);
  const auto reference = whole(second);
  ASSERT_EQ((*next)->nodes().size(), reference->nodes().size());
  for (std::size_t i = 0; i < reference->nodes().size(); ++i) {
    EXPECT_EQ((*next)->nodes()[i]->owner, reference->nodes()[i]->owner);
    EXPECT_EQ((*next)->nodes()[i]->rrsets, reference->nodes()[i]->rrsets);
  }
  EXPECT_EQ((*next)->find(name("b.f.")), before.zone->find(name("b.f."))) << "shared";
  EXPECT_EQ(flaw_of(prove(*next, signer_.trust_anchor(), &before)), "");
  const auto back = (*next)->with(between(second, signer_.sign(soa(3) + base_, kEnd)));
  ASSERT_TRUE(back.ok());
  EXPECT_FALSE((*back)->find(name("a.f.")));
}

TEST_F(DifferencesTest, ThatDoNotFitLeadNowhere) {
  auto steps = between(first_, signer_.sign(soa(2) + base_, kEnd));
  steps.steps[0].removed.push_back(records_of("nobody.f. 60 IN A 192.0.2.1\n").front());
  EXPECT_FALSE(whole(first_)->with(steps).ok());
  steps = between(first_, first_);
  steps.steps[0].new_soa.owner = name("b.f.");
  EXPECT_FALSE(whole(first_)->with(steps).ok());
}

TEST_F(DifferencesTest, WhatTheyBringIsVerifiedThoughTheRestIsNotAgain) {
  const ProvenMirror before = proven(first_);
  const auto second = signer_.sign(soa(2) + base_ + "a.f. 60 IN A 192.0.2.2\n", kEnd);
  for (std::size_t i = 0; i < second.size(); ++i) {
    if (std::find(first_.begin(), first_.end(), second[i]) != first_.end()) continue;
    auto altered = second;
    altered[i].rdata.back() ^= 1;
    const auto next = before.zone->with(between(first_, altered));
    EXPECT_TRUE(!next || flaw_of(prove(*next, signer_.trust_anchor(), &before)) != "") << i;
    altered = second;
    altered.erase(altered.begin() + static_cast<std::ptrdiff_t>(i));
    if (second[i].type == RRType::soa) continue;
    const auto fewer = before.zone->with(between(first_, altered));
    EXPECT_TRUE(fewer.ok());
    EXPECT_NE(flaw_of(prove(*fewer, signer_.trust_anchor(), &before)), "")
        << wire::to_text(second[i]);
  }
}

TEST_F(DifferencesTest, TheEndOfASignatureIsNoticedThoughItsNodeDidNotChange) {
  const auto old = signer_.sign(soa(1) + base_, 1'800'000'100);
  const ProvenMirror before = proven(old);
  EXPECT_EQ(before.valid_until, WallTime(std::chrono::seconds(1'800'000'100)));
  auto second = signer_.sign(soa(2) + base_, kEnd);
  // b.f. keeps its old signatures.
  std::erase_if(second, [&](const Record& one) { return one.owner == name("b.f."); });
  for (const Record& one : old)
    if (one.owner == name("b.f.")) second.push_back(one);
  const auto next = before.zone->with(between(old, second)).value();
  const auto now = prove(next, signer_.trust_anchor(), &before);
  ASSERT_EQ(flaw_of(now), "");
  EXPECT_EQ(std::get<ProvenMirror>(now).valid_until, WallTime(std::chrono::seconds(1'800'000'100)));
  EXPECT_NE(flaw_of(prove(next, signer_.trust_anchor(), &before,
                          WallTime(std::chrono::seconds(1'800'000'101)))),
            "");
}

}  // namespace
}  // namespace mutua::resolver
