#include "resolver/validation/validator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "dnssec/nsec3.h"
#include "dnssec/rrsig.h"
#include "support/foreign_zones.h"
#include "support/records_of.h"
#include "trust/key.h"
#include "wire/rdata.h"

namespace mutua::resolver {
namespace {

using wire::ExtendedError;
using wire::Message;
using wire::Name;
using wire::Rcode;
using wire::Record;
using wire::RRType;

constexpr WallTime kNow{std::chrono::seconds(1'800'000'000)};  // 2027

Name name(const std::string& text) { return Name::parse(text).value(); }

RRType covered_by(const Record& record) {
  return record.type == RRType::rrsig ? static_cast<RRType>(load_u16(record.rdata.data()))
                                      : record.type;
}

// A zone that others have signed, and answers put together by hand from it.
class Zone {
 public:
  explicit Zone(const ForeignZone& foreign) : records_(records_of(foreign.records)) {
    TrustAnchors anchors(name("fed.example."));
    EXPECT_TRUE(anchors.add(foreign.trust_anchor).ok());
    auto proven = prove_keys(answer("fed.example.", RRType::dnskey), anchors, kNow);
    EXPECT_TRUE(std::holds_alternative<ProvenKeys>(proven));
    keys_ = std::get<ProvenKeys>(proven).keys;
  }

  // The RRset with its signatures, perhaps as if it were another's.
  void add(std::vector<Record>& section, const std::string& owner, RRType type,
           const std::string& as = "") const {
    for (const Record& record : records_) {
      if (record.owner != name(owner) || covered_by(record) != type) continue;
      section.push_back(record);
      if (!as.empty()) section.back().owner = name(as);
    }
  }

  Message empty(const std::string& owner, RRType type, Rcode rcode = Rcode::noerror) const {
    Message message;
    message.header.response = true;
    message.header.rcode = rcode;
    message.question.push_back({name(owner), type, wire::RRClass::in});
    return message;
  }
  Message answer(const std::string& owner, RRType type) const {
    Message message = empty(owner, type);
    add(message.answer, owner, type);
    return message;
  }
  Message denial(const std::string& owner, RRType type, Rcode rcode,
                 const std::vector<std::string>& nsec_owners) const {
    Message message = empty(owner, type, rcode);
    add(message.authority, "fed.example.", RRType::soa);
    for (const std::string& one : nsec_owners) add(message.authority, one, RRType::nsec);
    return message;
  }

  std::optional<Flaw> judge(Message& message, WallTime now = kNow) const {
    const wire::Question question = message.question.front();
    return validate(question, keys_, now, message);
  }
  // "" where the answer is proven.
  std::string verdict(Message message, WallTime now = kNow) const {
    const auto flaw = judge(message, now);
    return flaw ? wire::to_text(flaw->code) : "";
  }

  const std::vector<Record>& records() const { return records_; }
  const ZoneKeys& keys() const { return keys_; }

 private:
  std::vector<Record> records_;
  ZoneKeys keys_{Name()};
};

class ValidatorTest : public testing::TestWithParam<ForeignZone> {
 protected:
  // Everything that can be said about the zone rightly.
  std::vector<Message> good_answers() const {
    std::vector<Message> all;
    for (const auto& [owner, type] :
         std::vector<std::pair<const char*, RRType>>{{"fed.example.", RRType::soa},
                                                     {"fed.example.", RRType::dnskey},
                                                     {"blog.fed.example.", RRType::txt},
                                                     {"BLOG.fed.example.", RRType::key},
                                                     {"_80._tcp.blog.fed.example.", RRType::srv},
                                                     {"www.fed.example.", RRType::cname},
                                                     {"secure.fed.example.", RRType::ds},
                                                     {"*.wild.fed.example.", RRType::txt}})
      all.push_back(zone_.answer(owner, type));
    all.push_back(alias());
    all.push_back(from_wildcard());
    all.push_back(by_dname());
    all.push_back(with_addresses());
    all.push_back(zone_.denial("nobody.fed.example.", RRType::txt, Rcode::nxdomain,
                               {"fed.example.", "x.new.fed.example."}));
    all.push_back(
        zone_.denial("blog.fed.example.", RRType::a, Rcode::noerror, {"blog.fed.example."}));
    all.push_back(zone_.denial("under.nothing.fed.example.", RRType::txt, Rcode::noerror,
                               {"x.new.fed.example."}));
    all.push_back(zone_.denial("x.wild.fed.example.", RRType::a, Rcode::noerror,
                               {"apart.wild.fed.example.", "*.wild.fed.example."}));
    all.push_back(
        zone_.denial("sub.fed.example.", RRType::ds, Rcode::noerror, {"sub.fed.example."}));
    all.push_back(referral());
    return all;
  }

  Message alias() const {
    Message message = zone_.empty("www.fed.example.", RRType::txt);
    zone_.add(message.answer, "www.fed.example.", RRType::cname);
    zone_.add(message.answer, "blog.fed.example.", RRType::txt);
    return message;
  }
  Message from_wildcard() const {
    Message message = zone_.empty("x.wild.fed.example.", RRType::txt);
    zone_.add(message.answer, "*.wild.fed.example.", RRType::txt, "x.wild.fed.example.");
    zone_.add(message.authority, "apart.wild.fed.example.", RRType::nsec);
    return message;
  }
  Message by_dname() const {
    Message message = zone_.empty("x.old.fed.example.", RRType::a);
    zone_.add(message.answer, "old.fed.example.", RRType::dname);
    message.answer.push_back({name("x.old.fed.example."), RRType::cname, wire::RRClass::in, 300,
                              to_bytes(name("x.new.fed.example.").wire())});
    zone_.add(message.answer, "x.new.fed.example.", RRType::a);
    return message;
  }
  Message with_addresses() const {
    Message message = zone_.answer("_80._tcp.blog.fed.example.", RRType::srv);
    zone_.add(message.additional, "a.peers.fed.example.", RRType::a);
    zone_.add(message.additional, "a.peers.fed.example.", RRType::aaaa);
    return message;
  }
  Message referral() const {
    Message message = zone_.empty("x.sub.fed.example.", RRType::txt);
    zone_.add(message.authority, "sub.fed.example.", RRType::ns);
    zone_.add(message.authority, "sub.fed.example.", RRType::nsec);
    return message;
  }

  const Zone zone_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(, ValidatorTest, testing::Values(kForeignZones[0], kForeignZones[1]));

std::string described(const Message& message) {
  return message.question[0].name.to_text() + " " + to_text(message.question[0].type);
}

TEST_P(ValidatorTest, WhatOthersSignedIsProven) {
  for (const Message& message : good_answers())
    EXPECT_EQ(zone_.verdict(message), "") << described(message);
}

TEST_P(ValidatorTest, NoBitOfAnAnswerCanBeAltered) {
  for (const Message& good : good_answers()) {
    Message judged = good;
    ASSERT_FALSE(zone_.judge(judged));
    for (std::size_t i = 0; i < good.answer.size() + good.authority.size(); ++i) {
      Message altered = good;
      Record& record =
          i < good.answer.size() ? altered.answer[i] : altered.authority[i - good.answer.size()];
      const bool is_unsigned = record.type == RRType::ns || covered_by(record) == RRType::soa ||
                               (record.type == RRType::cname && described(good)[0] == 'x');
      if (is_unsigned && described(good) != "fed.example. SOA") continue;
      for (std::size_t at = 0; at < record.rdata.size(); ++at) {
        // Letters of names may change their case, and an RRSIG's owner TTL may be anything.
        record.rdata[at] ^= 0x01;
        Message attempt = altered;
        EXPECT_TRUE(zone_.judge(attempt)) << described(good) << " record " << i << " octet " << at;
        record.rdata[at] ^= 0x01;
      }
    }
  }
}

TEST_P(ValidatorTest, ASignatureThatIsMissingOrOutOfTimeProvesNothing) {
  for (const Message& good : good_answers()) {
    Message stripped = good;
    for (auto* section : {&stripped.answer, &stripped.authority})
      std::erase_if(*section, [](const Record& one) { return one.type == RRType::rrsig; });
    EXPECT_NE(zone_.verdict(stripped), "") << described(good);
    EXPECT_EQ(zone_.verdict(good, WallTime(std::chrono::seconds(2'082'758'401))),
              "Signature Expired")
        << described(good);
    EXPECT_EQ(zone_.verdict(good, WallTime(std::chrono::seconds(1'767'225'599))),
              "Signature Not Yet Valid")
        << described(good);
  }
}

TEST_P(ValidatorTest, AnAnswerLeavesOnlyWhatIsProven) {
  Message message = with_addresses();
  message.answer.push_back(records_of("evil.fed.example. 60 IN A 192.0.2.66\n").front());
  message.authority = records_of("fed.example. 60 IN NS ns.evil.example.\n");
  message.additional.push_back(records_of("b.peers.fed.example. 60 IN A 192.0.2.66\n").front());
  message.additional[0].rdata[3] ^= 1;  // the IPv4 address
  ASSERT_FALSE(zone_.judge(message));
  EXPECT_EQ(message.answer.size(), 2u);
  EXPECT_TRUE(message.authority.empty());
  ASSERT_EQ(message.additional.size(), 2u);
  EXPECT_EQ(message.additional[0].type, RRType::aaaa);
}

TEST_P(ValidatorTest, TheTtlIsThatOfTheSignatureAndNotLongerThanItLasts) {
  Message message = zone_.answer("blog.fed.example.", RRType::txt);
  for (Record& record : message.answer) record.ttl = 100'000;
  ASSERT_FALSE(zone_.judge(message));
  EXPECT_EQ(message.answer[0].ttl, 300u);
  message = zone_.answer("blog.fed.example.", RRType::txt);
  ASSERT_FALSE(zone_.judge(message, WallTime(std::chrono::seconds(2'082'758'400 - 10))));
  EXPECT_EQ(message.answer[0].ttl, 10u);
}

TEST_P(ValidatorTest, AWildcardDoesNotReachNamesThatExist) {
  Message message = zone_.empty("apart.wild.fed.example.", RRType::txt);
  zone_.add(message.answer, "*.wild.fed.example.", RRType::txt, "apart.wild.fed.example.");
  zone_.add(message.authority, "apart.wild.fed.example.", RRType::nsec);
  zone_.add(message.authority, "*.wild.fed.example.", RRType::nsec);
  EXPECT_EQ(zone_.verdict(message), "NSEC Missing");
  // Nor names elsewhere in the zone.
  message = zone_.empty("nobody.fed.example.", RRType::txt);
  zone_.add(message.answer, "*.wild.fed.example.", RRType::txt, "nobody.fed.example.");
  EXPECT_EQ(zone_.verdict(message), "DNSSEC Bogus");
}

TEST_P(ValidatorTest, DenialsOfOtherNamesAndTypesProveNothing) {
  const auto verdict = [&](const char* owner, RRType type, Rcode rcode,
                           const std::vector<std::string>& nsecs) {
    return zone_.verdict(zone_.denial(owner, type, rcode, nsecs));
  };
  const std::string missing = "NSEC Missing";
  const auto nx = Rcode::nxdomain;
  EXPECT_EQ(verdict("blog.fed.example.", RRType::txt, nx, {"fed.example.", "a.peers.fed.example."}),
            missing);
  EXPECT_EQ(verdict("blog.fed.example.", RRType::txt, Rcode::noerror, {"blog.fed.example."}),
            missing)
      << "the type is there";
  EXPECT_EQ(verdict("www.fed.example.", RRType::txt, Rcode::noerror, {"www.fed.example."}), missing)
      << "there is a CNAME";
  EXPECT_EQ(verdict("nobody.fed.example.", RRType::txt, nx, {"fed.example."}), missing);
  EXPECT_EQ(verdict("nobody.fed.example.", RRType::txt, nx, {}), missing);
  EXPECT_EQ(verdict("x.wild.fed.example.", RRType::txt, nx, {"apart.wild.fed.example."}), missing)
      << "the wildcard is not denied";
  EXPECT_EQ(verdict("under.nothing.fed.example.", RRType::txt, nx,
                    {"x.new.fed.example.", "fed.example."}),
            missing)
      << "a name with others below it exists";
  EXPECT_EQ(verdict("x.sub.fed.example.", RRType::txt, nx, {"sub.fed.example.", "fed.example."}),
            missing)
      << "a delegation denies nothing below it";
  EXPECT_EQ(verdict("sub.fed.example.", RRType::txt, Rcode::noerror, {"sub.fed.example."}), missing)
      << "the parent does not know what the child has";
  EXPECT_EQ(verdict("x.old.fed.example.", RRType::a, nx, {"old.fed.example.", "fed.example."}),
            missing)
      << "a DNAME denies nothing below it";
}

TEST_P(ValidatorTest, AnNsecExpandedFromAWildcardIsNotOne) {
  // The wildcard's own NSEC under a name that sorts before the one to be denied.
  Message message = zone_.denial("b.wild.fed.example.", RRType::a, Rcode::noerror, {});
  zone_.add(message.authority, "*.wild.fed.example.", RRType::nsec, "b.wild.fed.example.");
  EXPECT_EQ(zone_.verdict(message), "NSEC Missing");
}

TEST_P(ValidatorTest, AliasesAreFollowedInsideTheZoneOnly) {
  Message message = zone_.empty("away.fed.example.", RRType::txt);
  zone_.add(message.answer, "away.fed.example.", RRType::cname);
  message.answer.push_back(records_of("www.example.org. 60 IN TXT forged\n").front());
  ASSERT_FALSE(zone_.judge(message));
  EXPECT_EQ(message.answer.size(), 2u) << "the CNAME and its signature";
  Message cut = zone_.empty("www.fed.example.", RRType::txt);
  zone_.add(cut.answer, "www.fed.example.", RRType::cname);
  EXPECT_EQ(zone_.verdict(cut), "NSEC Missing");
}

TEST_P(ValidatorTest, ADnameLeadsWhereItLeadsWhateverTheCnameSays) {
  Message message = by_dname();
  for (Record& record : message.answer) {
    if (record.type == RRType::cname) record.rdata = to_bytes(name("evil.example.").wire());
  }
  ASSERT_FALSE(zone_.judge(message));
  for (const Record& record : message.answer) {
    if (record.type == RRType::cname) {
      EXPECT_EQ(wire::parse_name_rdata(record.rdata).value(), name("x.new.fed.example."));
    }
  }
}

TEST_P(ValidatorTest, OnlyAnswersToTheQuestionCount) {
  Message message = zone_.answer("blog.fed.example.", RRType::txt);
  const wire::Question other{name("www.fed.example."), RRType::txt, wire::RRClass::in};
  EXPECT_TRUE(validate(other, zone_.keys(), kNow, message));
  message.header.rcode = Rcode::servfail;
  EXPECT_EQ(zone_.verdict(message), "Not Authoritative");
  message.header.rcode = Rcode::nxdomain;
  EXPECT_EQ(zone_.verdict(message), "DNSSEC Bogus");
  message.header = {};
  EXPECT_EQ(zone_.verdict(message), "Invalid Data");
}

TEST_P(ValidatorTest, KeysAreProvenByAnAnchorAndNothingElse) {
  const Message good = zone_.answer("fed.example.", RRType::dnskey);
  TrustAnchors right(name("fed.example.")), wrong(name("fed.example."));
  ASSERT_TRUE(right.add(GetParam().trust_anchor).ok());
  ASSERT_TRUE(wrong.add("fed.example. IN DS 1 15 2 " + std::string(64, 'a')).ok());
  const auto is_proven = [&](const Message& message, const TrustAnchors& anchors,
                             WallTime now = kNow) {
    return std::holds_alternative<ProvenKeys>(prove_keys(message, anchors, now));
  };
  EXPECT_TRUE(is_proven(good, right));
  EXPECT_FALSE(is_proven(good, wrong));
  EXPECT_FALSE(is_proven(good, right, WallTime(std::chrono::seconds(2'082'758'401))));
  EXPECT_FALSE(is_proven(zone_.answer("blog.fed.example.", RRType::txt), right));
  for (std::size_t i = 0; i < good.answer.size(); ++i) {
    Message altered = good;
    altered.answer[i].rdata.back() ^= 1;
    EXPECT_FALSE(is_proven(altered, right)) << i;
  }
  // A key that somebody slips in is covered by no signature.
  Message more = good;
  more.answer.push_back(records_of("fed.example. 300 IN DNSKEY 257 3 15 "
                                   "PhyATEUIn0+1MsRUGbGKvVGrkWSMFJSXSOe8ayHA32c=\n")
                            .front());
  EXPECT_FALSE(is_proven(more, right));
}

// ---------------------------------------------------------------- NSEC3

class HashedDenialTest : public testing::Test {
 protected:
  // With the NSEC3s of these names, or those that say that there are none.
  Message denial(const std::string& owner, RRType type, Rcode rcode,
                 const std::vector<std::string>& names) const {
    Message message = zone_.denial(owner, type, rcode, {});
    for (const std::string& one : names)
      zone_.add(message.authority, nsec3_of(one).to_text(), RRType::nsec3);
    return message;
  }
  std::string verdict(const std::string& owner, RRType type, Rcode rcode,
                      const std::vector<std::string>& names) const {
    return zone_.verdict(denial(owner, type, rcode, names));
  }

  Name nsec3_of(const std::string& text) const {
    const auto hash = dnssec::nsec3_hash(name(text).lowered().wire(), Bytes{0xca, 0xfe});
    const Record* found = nullptr;
    const Record* last = nullptr;
    for (const Record& one : zone_.records()) {
      if (one.type != RRType::nsec3) continue;
      const auto at = [](const Record& record) {
        return dnssec::nsec3_hash_of_label(record.owner.label(0));
      };
      if (at(one) <= hash && (!found || at(*found) < at(one))) found = &one;
      if (!last || at(*last) < at(one)) last = &one;
    }
    return (found ? found : last)->owner;
  }

  const Zone zone_{kForeignZones[2]};
};

TEST_F(HashedDenialTest, ProvesWhatNsecsProve) {
  EXPECT_EQ(verdict("x.nobody.fed.example.", RRType::txt, Rcode::nxdomain,
                    {"fed.example.", "nobody.fed.example.", "*.fed.example."}),
            "");
  EXPECT_EQ(verdict("blog.fed.example.", RRType::a, Rcode::noerror, {"blog.fed.example."}), "");
  EXPECT_EQ(verdict("under.nothing.fed.example.", RRType::txt, Rcode::noerror,
                    {"under.nothing.fed.example."}),
            "");
  EXPECT_EQ(verdict("x.wild.fed.example.", RRType::a, Rcode::noerror,
                    {"wild.fed.example.", "x.wild.fed.example.", "*.wild.fed.example."}),
            "");
  EXPECT_EQ(verdict("sub.fed.example.", RRType::ds, Rcode::noerror, {"sub.fed.example."}), "");
  Message wildcard =
      denial("x.wild.fed.example.", RRType::txt, Rcode::noerror, {"x.wild.fed.example."});
  zone_.add(wildcard.answer, "*.wild.fed.example.", RRType::txt, "x.wild.fed.example.");
  EXPECT_EQ(zone_.verdict(wildcard), "");
}

TEST_F(HashedDenialTest, LacksNothingThatItNeeds) {
  const std::vector<std::string> whole{"fed.example.", "nobody.fed.example.", "*.fed.example."};
  for (std::size_t i = 0; i < whole.size(); ++i) {
    auto fewer = whole;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
    // One record may serve for two of them.
    const bool is_needed = std::none_of(fewer.begin(), fewer.end(), [&](const std::string& one) {
      return nsec3_of(one) == nsec3_of(whole[i]);
    });
    EXPECT_EQ(verdict("nobody.fed.example.", RRType::txt, Rcode::nxdomain, fewer),
              is_needed ? "NSEC Missing" : "")
        << whole[i];
  }
  EXPECT_EQ(verdict("blog.fed.example.", RRType::txt, Rcode::noerror, {"blog.fed.example."}),
            "NSEC Missing");
  EXPECT_EQ(verdict("blog.fed.example.", RRType::txt, Rcode::nxdomain,
                    {"fed.example.", "blog.fed.example.", "*.fed.example."}),
            "NSEC Missing");
  EXPECT_EQ(verdict("x.sub.fed.example.", RRType::txt, Rcode::nxdomain,
                    {"sub.fed.example.", "x.sub.fed.example.", "*.sub.fed.example."}),
            "NSEC Missing")
      << "a delegation denies nothing below it";
  EXPECT_EQ(verdict("apart.wild.fed.example.", RRType::txt, Rcode::noerror,
                    {"wild.fed.example.", "*.wild.fed.example."}),
            "NSEC Missing");
}

TEST_F(HashedDenialTest, NoBitOfItCanBeAltered) {
  const Message good = denial("nobody.fed.example.", RRType::txt, Rcode::nxdomain,
                              {"fed.example.", "nobody.fed.example.", "*.fed.example."});
  ASSERT_EQ(zone_.verdict(good), "");
  for (std::size_t i = 0; i < good.authority.size(); ++i) {
    if (covered_by(good.authority[i]) == RRType::soa) continue;
    for (std::size_t at = 0; at < good.authority[i].rdata.size(); ++at) {
      Message altered = good;
      altered.authority[i].rdata[at] ^= 1;
      EXPECT_NE(zone_.verdict(altered), "") << i << " octet " << at;
    }
  }
}

// ---------------------------------------------------------------- one key of ours

struct Signed {
  trust::PrivateKey key = trust::PrivateKey::generate(trust::Algorithm::ed25519).value();
  Bytes dnskey = wire::make_key({257, 3, 15, to_bytes(key.public_key().raw())});

  Record sign(const Name& owner, const wire::RRset& rrset,
              const std::function<void(dnssec::Rrsig&)>& alter = {}) const {
    dnssec::Rrsig rrsig{rrset.type,
                        15,
                        dnssec::signed_labels(owner),
                        rrset.ttl,
                        1'800'001'000,
                        1'799'999'000,
                        wire::key_tag(dnskey),
                        name("f."),
                        {}};
    if (alter) alter(rrsig);
    rrsig.signature = key.sign(dnssec::signed_octets(rrsig, owner, rrset));
    return {owner, RRType::rrsig, wire::RRClass::in, rrset.ttl, dnssec::make_rrsig(rrsig)};
  }
};

SignedRRset with(const wire::RRset& rrset, std::vector<Record> signatures) {
  SignedRRset made{name("a.f."), rrset, {}};
  for (Record& one : signatures) made.signatures.push_back(std::move(one.rdata));
  return made;
}

class SignatureTest : public testing::Test {
 protected:
  std::string verdict(const SignedRRset& rrset, Effort effort = {}) const {
    const auto verified = keys_.verify(rrset, kNow, effort);
    const auto* flaw = std::get_if<Flaw>(&verified);
    return flaw ? flaw->text : "";
  }

  const Signed signed_;
  const wire::RRset rrset_{RRType::txt, 300, {{1, 'x'}}};
  const ZoneKeys keys_{
      name("f."),
      {{signed_.dnskey, wire::key_tag(signed_.dnskey), signed_.key.public_key(), true}}};
};

TEST_F(SignatureTest, WhatTheSignatureSaysMustFit) {
  EXPECT_EQ(verdict(with(rrset_, {signed_.sign(name("a.f."), rrset_)})), "");
  const auto altered = [&](const std::function<void(dnssec::Rrsig&)>& alter) {
    return verdict(with(rrset_, {signed_.sign(name("a.f."), rrset_, alter)}));
  };
  EXPECT_NE(altered([](auto& one) { one.signer = name("g."); }), "");
  EXPECT_NE(altered([](auto& one) { one.signer = name("a.f."); }), "");
  EXPECT_NE(altered([](auto& one) { one.key_tag ^= 1; }), "");
  EXPECT_NE(altered([](auto& one) { one.algorithm = 13; }), "");
  EXPECT_NE(altered([](auto& one) { one.labels = 0; }), "") << "a wildcard above the zone";
  EXPECT_NE(altered([](auto& one) { one.expiration = 1'799'999'999; }), "");
  EXPECT_NE(altered([](auto& one) { one.inception = 1'800'000'001; }), "");
  EXPECT_EQ(altered([](auto& one) { one.expiration = 1'800'000'000; }), "");
}

TEST_F(SignatureTest, TimesGoRoundTheEndOf32Bits) {
  const WallTime later{std::chrono::seconds(4'294'967'290)};  // 2106
  const Record signature = signed_.sign(name("a.f."), rrset_, [](auto& one) {
    one.inception = 4'294'967'000u;
    one.expiration = 1000;
  });
  Effort effort;
  EXPECT_TRUE(
      std::holds_alternative<Proof>(keys_.verify(with(rrset_, {signature}), later, effort)));
}

TEST_F(SignatureTest, WrongSignaturesAreNotComputedForever) {
  Record wrong = signed_.sign(name("a.f."), rrset_);
  wrong.rdata.back() ^= 1;
  const Record right = signed_.sign(name("a.f."), rrset_);
  EXPECT_EQ(verdict(with(rrset_, {wrong, wrong, right})),
            "a.f. TXT: too many of its signatures are wrong");
  EXPECT_EQ(verdict(with(rrset_, {wrong, right})), "");
  EXPECT_NE(verdict(with(rrset_, {right}), Effort{0}), "");
}

TEST_F(SignatureTest, KeysThatShareATagAreTriedTwoAtMost) {
  std::vector<ZoneKeys::Key> keys;
  for (int i = 0; i < 3; ++i)
    keys.push_back(
        {signed_.dnskey, wire::key_tag(signed_.dnskey), Signed().key.public_key(), false});
  keys.push_back(keys_.all().front());
  Effort effort;
  const auto verified =
      ZoneKeys(name("f."), keys)
          .verify(with(rrset_, {signed_.sign(name("a.f."), rrset_)}), kNow, effort);
  EXPECT_TRUE(std::holds_alternative<Flaw>(verified));
  EXPECT_EQ(effort.failures, 2u);
}

TEST_F(SignatureTest, RevokedAndForeignKeysAreNotTheZones) {
  const auto with_flags = [&](std::uint16_t flags, std::uint8_t protocol) {
    Bytes dnskey = signed_.dnskey;
    store_u16(dnskey.data(), flags);
    dnskey[2] = protocol;
    const wire::RRset rrset{RRType::dnskey, 300, {dnskey}};
    Message message;
    message.answer.push_back({name("f."), RRType::dnskey, wire::RRClass::in, 300, dnskey});
    message.answer.push_back(
        signed_.sign(name("f."), rrset, [&](auto& one) { one.key_tag = wire::key_tag(dnskey); }));
    TrustAnchors anchors(name("f."));
    const auto ds = dnssec::ds_of(name("f."), dnskey, dnssec::DigestType::sha256);
    EXPECT_TRUE(
        anchors.add("f. IN DS " + wire::rdata_to_text(RRType::ds, dnssec::make_ds(ds))).ok());
    return std::holds_alternative<ProvenKeys>(prove_keys(message, anchors, kNow));
  };
  EXPECT_TRUE(with_flags(257, 3));
  EXPECT_TRUE(with_flags(256, 3));
  EXPECT_FALSE(with_flags(257 | 128, 3));
  EXPECT_FALSE(with_flags(1, 3));
  EXPECT_FALSE(with_flags(257, 4));
}

}  // namespace
}  // namespace mutua::resolver
