// Who may write what, asked as clients do.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/writer_fixture.h"

namespace mutua::test {
namespace {

using wire::Rcode;
using wire::RRClass;
using wire::RRType;

const std::string kBlog = "blog.fed.test.";

class Policy : public WriterTest {
 protected:
  void SetUp() override {
    WriterTest::SetUp();
    ASSERT_EQ(claim(owner_, kBlog).rcode, Rcode::noerror);
    ASSERT_EQ(commit(peer_, kBlog).rcode, Rcode::noerror);
  }
  void expect(const Party& party, const std::string& signer, UpdateBuilder update, Rcode rcode,
              const std::string& words) {
    const auto before = zone()->serial();
    const Answer answer = send(by(party, signer, update));
    EXPECT_EQ(answer.rcode, rcode) << words << ": " << answer.text;
    if (rcode == Rcode::noerror) return;
    EXPECT_NE(answer.text.find(words), std::string::npos) << answer.text;
    EXPECT_EQ(zone()->serial(), before);
  }
  static UpdateBuilder adding(const std::string& record) {
    return UpdateBuilder(kZone).add(record);
  }

  const Party owner_, peer_, stranger_;
  const std::string commitment_ = peer_.id + "._80._tcp." + kBlog;
};

TEST_F(Policy, AnOwnerWritesItsNameAdmissionsAndDenialsOnly) {
  const auto may = [&](UpdateBuilder u) {
    expect(owner_, kBlog, std::move(u), Rcode::noerror, "");
  };
  const auto may_not = [&](UpdateBuilder u, const char* words) {
    expect(owner_, kBlog, std::move(u), Rcode::refused, words);
  };
  may(adding(kBlog + " 60 IN TXT hello"));
  may(adding(kBlog + " 60 IN MX 10 mail.example."));
  may(adding(peer_.id + "._admit." + kBlog + " 60 IN TXT v=1"));
  may(adding(peer_.id + "._deny." + kBlog + " 60 IN TXT v=1"));
  may(UpdateBuilder(kZone).remove_name(peer_.id + "._deny." + kBlog));
  may_not(adding(peer_.id + "._admit." + kBlog + " 60 IN A 192.0.2.1"), "only TXT");
  may_not(adding("short._admit." + kBlog + " 60 IN TXT v=1"), "names no peer");
  may_not(adding("www." + kBlog + " 60 IN TXT x"), "may not write");
  may_not(adding("wiki.fed.test. 60 IN TXT x"), "may not write");
  may_not(adding("fed.test. 60 IN TXT x"), "may not write");
  may_not(adding(peer_.id + "._admit.wiki.fed.test. 60 IN TXT v=1"), "may not write");
  may_not(adding(kBlog + " 60 IN NS ns.evil.example."), "no delegation");
  may_not(adding(kBlog + " 60 IN A 192.0.2.1"), "derived");
  may_not(adding("_80._tcp." + kBlog + " 60 IN SRV 0 0 1 ns1.fed.test."), "never add");
  may_not(UpdateBuilder(kZone).remove_rrset("_80._tcp." + kBlog, RRType::srv), "derived");
}

TEST_F(Policy, AnOwnerDeletesCommitmentsButNeverAddsOne) {
  expect(owner_, kBlog, adding(commitment_ + " 60 IN SRV 0 0 1 " + peer_.host), Rcode::refused,
         "never add");
  expect(owner_, kBlog, adding(commitment_ + " 60 IN TXT v=1"), Rcode::refused, "never add");
  UpdateBuilder both(kZone);
  both.remove_name(commitment_).add(commitment_ + " 60 IN TXT v=1");
  expect(owner_, kBlog, both, Rcode::refused, "never add");
  expect(owner_, kBlog, UpdateBuilder(kZone).remove_name(commitment_), Rcode::noerror, "");
  EXPECT_TRUE(rdatas(commitment_, RRType::srv).empty());
}

TEST_F(Policy, FirstClaimsAreForFreeUnreservedNames) {
  struct Case {
    std::string name;
    const char* words;
  };
  for (const Case& c : std::vector<Case>{{"_x.fed.test.", "reserved"},
                                         {"a._tcp.fed.test.", "reserved"},
                                         {"*.fed.test.", "reserved"},
                                         {"fed.test.", "operator's"},
                                         {"ns1.fed.test.", "taken"},
                                         {kBlog, "no such key"},
                                         {"www." + kBlog, "somebody else"},
                                         {"peers.fed.test.", "only peers"},
                                         {"a.b.peers.fed.test.", "only peers"},
                                         {stranger_.host, "register by SRP"},
                                         {"www.example.org.lookaside.fed.test.", "real DNS"},
                                         {"lookaside.fed.test.", "real DNS"}}) {
    UpdateBuilder update(kZone);
    if (c.name == kBlog) {
      update.add(kBlog + " 60 IN TXT x");
    } else {
      update.add_key(c.name, stranger_.key.public_key());
    }
    expect(stranger_, c.name, update, Rcode::refused, c.words);
  }
  UpdateBuilder update(kZone);
  update.add_key("deep.er.fed.test.", stranger_.key.public_key());
  expect(stranger_, "deep.er.fed.test.", update, Rcode::noerror, "");
  UpdateBuilder two(kZone);  // a claim covers one name
  two.add_key("one.fed.test.", owner_.key.public_key())
      .add_key("two.fed.test.", owner_.key.public_key());
  expect(owner_, "one.fed.test.", two, Rcode::refused, "may not write");
}

TEST_F(Policy, StrangersLearnNothingFromPrerequisites) {
  for (const RRClass rclass : {RRClass::any, RRClass::none}) {
    UpdateBuilder update(kZone);
    update.prerequisite({name(kBlog), RRType::any, rclass, 0, {}});
    update.add_key("_x.fed.test.", stranger_.key.public_key());
    expect(stranger_, "_x.fed.test.", update, Rcode::refused, "reserved");
  }
}

TEST_F(Policy, ReleasedNamesAreFreeAgain) {
  expect(owner_, kBlog, UpdateBuilder(kZone).remove_name(kBlog), Rcode::noerror, "");
  EXPECT_EQ(claim(stranger_, kBlog).rcode, Rcode::noerror);
}

TEST_F(Policy, ARolledKeyTakesOver) {
  const Party next;
  UpdateBuilder roll(kZone);
  roll.remove_rrset(kBlog, RRType::key).add_key(kBlog, next.key.public_key());
  expect(owner_, kBlog, roll, Rcode::noerror, "");
  expect(owner_, kBlog, adding(kBlog + " 60 IN TXT old"), Rcode::refused, "no such key");
  expect(next, kBlog, adding(kBlog + " 60 IN TXT new"), Rcode::noerror, "");
}

TEST_F(Policy, KeyFlags0And513AreAcceptedOthersNot) {
  for (const auto& [flags, rcode] : {std::pair<std::uint16_t, Rcode>{0, Rcode::noerror},
                                     {513, Rcode::noerror},
                                     {256, Rcode::refused},
                                     {0xc000, Rcode::refused}}) {
    const Party party;
    const std::string owner = "f" + std::to_string(flags) + ".fed.test.";
    UpdateBuilder update(kZone);
    wire::Key key{flags, 3, 15, to_bytes(party.key.public_key().raw())};
    update.edns().raw({name(owner), RRType::key, RRClass::in, 60, wire::make_key(key)});
    wire::Sig0 fields;
    fields.algorithm = 15;
    const auto now = clock_.wall_now().time_since_epoch().count();
    fields.inception = static_cast<std::uint32_t>(now - 300);
    fields.expiration = static_cast<std::uint32_t>(now + 300);
    fields.key_tag = wire::key_tag(wire::make_key(key));
    fields.signer = name(owner);
    const Answer answer =
        send(wire::sign_sig0(update.unsigned_bytes(), fields,
                             [&](BytesView covered) { return party.key.sign(covered); }));
    EXPECT_EQ(answer.rcode, rcode) << flags << answer.text;
  }
}

TEST_F(Policy, APeerCommitsInItsOwnNameOnly) {
  const auto srp = [&](const std::string& list, const std::string& instance) {
    UpdateBuilder update = registration(peer_);
    const std::string owner = instance + "." + list;
    update.add(list + " 30 IN PTR " + owner).remove_name(owner);
    update.add(owner + " 30 IN SRV 0 0 1 " + peer_.host).add(owner + " 30 IN TXT v=1");
    return update;
  };
  expect(peer_, peer_.host, srp("_80._tcp." + kBlog, stranger_.id), Rcode::refused,
         "not made from");
  expect(peer_, peer_.host, srp("_mutua._tcp.fed.test.", stranger_.id), Rcode::refused,
         "not made from");
  expect(peer_, peer_.host, srp("_80._tcp.none.fed.test.", peer_.id), Rcode::refused,
         "no service stands");
  expect(peer_, peer_.host, srp("_http._tcp." + kBlog, peer_.id), Rcode::refused,
         "no service may be registered");
  expect(peer_, peer_.host, srp("_mutua._tcp.fed.test.", peer_.id), Rcode::noerror, "");
}

TEST_F(Policy, SrpMustKeepItsShape) {
  const auto refuse = [&](UpdateBuilder update, const char* words) {
    expect(peer_, peer_.host, std::move(update), Rcode::refused, words);
  };
  UpdateBuilder twice = registration(peer_);
  refuse(twice.remove_name(peer_.host), "after additions");
  UpdateBuilder bare(kZone);
  refuse(bare.lease(60, 60).add_key(peer_.host, peer_.key.public_key()), "without being cleared");
  UpdateBuilder no_key(kZone);
  no_key.lease(60, 60).remove_name(peer_.host);
  refuse(no_key.add(peer_.host + " 30 IN A 127.0.0.1"), "exactly one KEY");
  UpdateBuilder no_pointer = registration(peer_);
  const std::string owner = peer_.id + "._80._tcp." + kBlog;
  no_pointer.remove_name(owner)
      .add(owner + " 30 IN SRV 0 0 1 " + peer_.host)
      .add(owner + " 30 IN TXT v=1");
  refuse(no_pointer, "has no PTR");
  UpdateBuilder subtype = registration(peer_);
  add_commitment(subtype, peer_, kBlog);
  refuse(subtype.add("_x._sub._80._tcp." + kBlog + " 30 IN PTR " + owner), "subtypes");
  UpdateBuilder elsewhere = registration(peer_);
  add_commitment(elsewhere, peer_, kBlog);
  elsewhere.message().authority[elsewhere.message().authority.size() - 2].rdata =
      wire::make_srv({0, 0, 1, name("ns1.fed.test.")});
  refuse(elsewhere, "SRV to another host");
  UpdateBuilder other_key = registration(peer_);
  other_key.message().authority[1].rdata = trust::key_rdata(stranger_.key.public_key());
  expect(peer_, peer_.host, other_key, Rcode::refused, "another key");
}

TEST_F(Policy, AMalformedLeaseIsFormerr) {
  UpdateBuilder update(kZone);
  update.edns().remove_name(peer_.host).add_key(peer_.host, peer_.key.public_key());
  update.message().edns->options.push_back({wire::edns_code::update_lease, {0, 0, 1}});
  expect(peer_, peer_.host, update, Rcode::formerr, "Update Lease");
}

}  // namespace
}  // namespace mutua::test
