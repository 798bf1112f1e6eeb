// "A commitment is served when …": the rule, its explanation, and what is derived from it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "authority/federation/derive.h"
#include "authority/federation/serve.h"
#include "support/writer_fixture.h"

namespace mutua::test {
namespace {

using authority::Explanation;
using authority::FederationIndex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using wire::Rcode;
using wire::RRType;

const std::string kBlog = "blog.fed.test.";

class ServedLists : public WriterTest {
 protected:
  void SetUp() override {
    WriterTest::SetUp();
    trust_base();
  }
  Explanation explain(const Party& peer, const std::string& port = "80/tcp",
                      const std::string& service = kBlog) {
    const auto version = zone();
    return authority::explain(*version, FederationIndex(*version), federation_, name(service),
                              *authority::ServicePort::parse(port), peer.id);
  }
  bool is_served(const Party& peer, const std::string& service = kBlog) {
    const bool listed = testing::Value(served(service), testing::Contains(HasSubstr(peer.host)));
    // The list and the explanation come from one function; they never differ.
    EXPECT_EQ(listed, explain(peer, "80/tcp", service).served);
    return listed;
  }
};

TEST_F(ServedLists, EveryReasonIsTold) {
  const Party owner, peer;
  struct Step {
    std::string reason;
    std::function<void()> mend;  // what makes this reason go
  };
  const std::vector<Step> steps = {
      {"no service stands",
       [&] {
         ASSERT_EQ(claim(owner, kBlog, "admission=audited").rcode, Rcode::noerror);
         admit(owner, kBlog, peer);
       }},
      {"made no commitment",
       [&] { ASSERT_EQ(commit(peer, kBlog, 20080, kOtherManifest).rcode, Rcode::noerror); }},
      {"not the service's current one",
       [&] {
         commit(peer, kBlog);
         UpdateBuilder dismissal(kZone);
         dismissal.remove_name(peer.id + "._admit." + kBlog);
         send(by(owner, kBlog, dismissal));
       }},
      {"has not admitted",
       [&] {
         admit(owner, kBlog, peer);
         deny(owner, kBlog, peer);
       }},
      {"denies the peer: altered",
       [&] {
         UpdateBuilder pardon(kZone);
         pardon.remove_name(peer.id + "._deny." + kBlog);
         send(by(owner, kBlog, pardon));
         trust_base("revoked");
       }},
      {"is revoked",
       [&] {
         UpdateBuilder removal(kZone);
         removal.remove_name(kBase + "._kernels." + kZone);
         operate(removal);
       }},
      {"is not trusted", [&] { trust_base(); }},
  };
  for (const Step& step : steps) {
    EXPECT_FALSE(is_served(peer));
    EXPECT_THAT(explain(peer).reasons, ElementsAre(HasSubstr(step.reason)));
    step.mend();
  }
  EXPECT_TRUE(is_served(peer));
  EXPECT_THAT(explain(peer).reasons, IsEmpty());
  EXPECT_THAT(explain(peer, "81/tcp").reasons,
              ElementsAre(HasSubstr("does not offer port 81/tcp")));
}

TEST_F(ServedLists, SeveralReasonsAreToldTogether) {
  const Party owner, peer;
  claim(owner, kBlog);
  commit(peer, kBlog, 20080, kOtherManifest);
  trust_base("revoked");
  EXPECT_THAT(explain(peer).reasons,
              ElementsAre(HasSubstr("manifest"), HasSubstr("admitted"), HasSubstr("revoked")));
}

TEST_F(ServedLists, WithoutTheRuleOnlyARevokedBaseIsAnObstacle) {
  federation_.require_trusted_base = false;
  restart();
  const Party owner, peer;
  claim(owner, kBlog, "admission=open", kManifest);
  commit(peer, kBlog);
  UpdateBuilder removal(kZone);
  removal.remove_name(kBase + "._kernels." + kZone);
  operate(removal);
  EXPECT_TRUE(is_served(peer));
  trust_base("revoked");
  EXPECT_FALSE(is_served(peer));
}

TEST_F(ServedLists, APolicyThatChangedHoldsFromTheNextStart) {
  const Party owner, peer;
  claim(owner, kBlog, "admission=open");
  commit(peer, kBlog);
  UpdateBuilder removal(kZone);
  removal.remove_name(kBase + "._kernels." + kZone);
  operate(removal);
  EXPECT_FALSE(is_served(peer));
  federation_.require_trusted_base = false;
  restart();
  EXPECT_TRUE(is_served(peer));
}

TEST_F(ServedLists, TheOwnersOwnCommitmentNeedsNoAdmission) {
  const Party owner;
  claim(owner, kBlog);
  commit(owner, kBlog);
  EXPECT_TRUE(is_served(owner));
}

TEST_F(ServedLists, APreviousManifestIsGoodDuringARollOver) {
  const Party owner, peer;
  claim(owner, kBlog, "admission=open");
  commit(peer, kBlog);
  UpdateBuilder update(kZone);
  update.remove_rrset(kBlog, RRType::txt);
  update.add(kBlog + " 60 IN TXT v=1 manifest=" + kOtherManifest + " previous=" + kManifest +
             " base=" + kBase + " ports=80/tcp admission=open");
  ASSERT_EQ(send(by(owner, kBlog, update)).rcode, Rcode::noerror);
  EXPECT_TRUE(is_served(peer));
}

TEST_F(ServedLists, HostingForOthersEarnsReplicas) {
  federation_.hosting_grace = 2;
  restart();
  const Party owner, other_owner;
  std::vector<Party> peers(4);
  claim(owner, kBlog, "admission=open");
  claim(other_owner, "wiki.fed.test.", "admission=open");
  for (const Party& peer : peers) commit(peer, kBlog);
  commit(owner, kBlog);  // the owner's own does not count
  EXPECT_EQ(served(kBlog).size(), 3u);
  unsigned refused = 0;
  for (const Party& peer : peers) {
    if (is_served(peer)) continue;
    ++refused;
    EXPECT_THAT(explain(peer).reasons, ElementsAre(HasSubstr("hosts too little")));
  }
  EXPECT_EQ(refused, 2u);
  // A commitment to the owner's own service earns nothing; one to another's does, while it lasts.
  commit(owner, "wiki.fed.test.");
  EXPECT_EQ(served(kBlog).size(), 4u);
  deny(other_owner, "wiki.fed.test.", owner);
  EXPECT_EQ(served(kBlog).size(), 3u);
}

TEST_F(ServedLists, APeersNewAddressReachesEveryServiceOfIt) {
  const Party owner, peer;
  for (const char* service : {"blog.fed.test.", "wiki.fed.test."}) {
    claim(owner, service, "admission=open");
    commit(peer, service, 80);
    EXPECT_THAT(rdatas(service, RRType::a), ElementsAre("127.0.0.5"));
  }
  UpdateBuilder update = registration(peer, 60, "127.0.0.6");
  ASSERT_EQ(send(by(peer, peer.host, update)).rcode, Rcode::noerror);
  EXPECT_THAT(rdatas(kBlog, RRType::a), ElementsAre("127.0.0.6"));
  EXPECT_THAT(rdatas("wiki.fed.test.", RRType::a), ElementsAre("127.0.0.6"));
}

TEST_F(ServedLists, AddressesStandAtTheServiceOnlyForItsOwnPort) {
  const Party owner, mapped, own_port;
  claim(owner, kBlog, "admission=open tls=80");
  commit(mapped, kBlog, 20080);
  EXPECT_THAT(rdatas(kBlog, RRType::a), IsEmpty());
  commit(own_port, kBlog, 80);
  EXPECT_THAT(rdatas(kBlog, RRType::a), ElementsAre("127.0.0.5"));
  EXPECT_EQ(rdatas(kBlog, RRType::https).size(), 2u);
}

TEST_F(ServedLists, DerivedRecordsGoWithTheService) {
  const Party owner, peer;
  claim(owner, kBlog, "admission=open");
  commit(peer, kBlog, 80);
  ASSERT_EQ(served(kBlog).size(), 1u);
  UpdateBuilder removal(kZone);
  removal.remove_name(kBlog);
  ASSERT_EQ(send(by(owner, kBlog, removal)).rcode, Rcode::noerror);
  EXPECT_THAT(served(kBlog), IsEmpty());
  EXPECT_THAT(rdatas(kBlog, RRType::a), IsEmpty());
}

TEST_F(ServedLists, APortThatIsNoLongerOfferedLosesItsList) {
  const Party owner, peer;
  claim(owner, kBlog, "admission=open");
  commit(peer, kBlog);
  UpdateBuilder update(kZone);
  update.remove_rrset(kBlog, RRType::txt);
  update.add(kBlog + " 60 IN TXT v=1 manifest=" + kManifest + " base=" + kBase +
             " ports=81/tcp admission=open");
  ASSERT_EQ(send(by(owner, kBlog, update)).rcode, Rcode::noerror);
  EXPECT_THAT(served(kBlog), IsEmpty());
}

TEST_F(ServedLists, AnOperatorsSrvWhereNoServiceStandsIsPlainData) {
  UpdateBuilder update(kZone);
  for (int i = 0; i < 40; ++i)
    update.add("_80._tcp.plain.fed.test. 60 IN SRV 0 0 " + std::to_string(i + 1) +
               " ns1.fed.test.");
  ASSERT_EQ(operate(update).rcode, Rcode::noerror);
  EXPECT_EQ(served("plain.fed.test.").size(), 40u);
  const Party owner, peer;
  claim(owner, kBlog, "admission=open");
  commit(peer, kBlog);
  restart();
  EXPECT_EQ(served("plain.fed.test.").size(), 40u);
}

TEST_F(ServedLists, AHandWrittenListGivesWayToAService) {
  UpdateBuilder update(kZone);
  update.add("_80._tcp.blog.fed.test. 60 IN SRV 0 0 1 ns1.fed.test.");
  ASSERT_EQ(operate(update).rcode, Rcode::noerror);
  const Party owner;
  EXPECT_EQ(claim(owner, kBlog).rcode, Rcode::noerror);
  EXPECT_THAT(served(kBlog), IsEmpty());
}

TEST(FederationNames, AreToldByTheirShape) {
  using Kind = authority::FederationName::Kind;
  const auto apex = name("fed.test.");
  const auto kind = [&](const char* text) { return authority::classify(name(text), apex).kind; };
  EXPECT_EQ(kind("_80._tcp.blog.fed.test."), Kind::list);
  EXPECT_EQ(kind("_53._UDP.blog.fed.test."), Kind::list);
  EXPECT_EQ(kind("p._80._tcp.blog.fed.test."), Kind::commitment);
  EXPECT_EQ(kind("p._admit.blog.fed.test."), Kind::admission);
  EXPECT_EQ(kind("p._deny.www.example.org.lookaside.fed.test."), Kind::denial);
  EXPECT_EQ(kind("P.peers.FED.test."), Kind::peer);
  EXPECT_EQ(kind("b._kernels.fed.test."), Kind::base);
  for (const char* other :
       {"fed.test.", "_80._tcp.fed.test.", "_080._tcp.blog.fed.test.", "_0._tcp.blog.fed.test.",
        "_65536._tcp.blog.fed.test.", "_http._tcp.blog.fed.test.", "_80._sctp.blog.fed.test.",
        "a.p.peers.fed.test.", "_80._tcp.blog.example.org.", "p._mutua._tcp.fed.test.",
        "_._tcp.b.fed.test."}) {
    EXPECT_EQ(kind(other), Kind::other) << other;
  }
  const auto found = authority::classify(name("PeeR._80._tcp.BLOG.fed.test."), apex);
  EXPECT_EQ(found.service, name("blog.fed.test."));
  EXPECT_EQ(found.label, "peer");
  EXPECT_EQ(found.port.to_text(), "80/tcp");
}

}  // namespace
}  // namespace mutua::test
