#include "authority/server/forwarder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "support/fake_clock.h"
#include "wire/presentation.h"

namespace mutua::authority {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using wire::Name;
using wire::Rcode;
using wire::RRType;

class FakeUpstream final : public upstream::Upstream {
 public:
  struct Asked {
    Bytes query;
    Done done;
  };
  bool ask(Bytes query, Done done) override {
    if (full) return false;
    asked.push_back({std::move(query), std::move(done)});
    return true;
  }
  std::deque<Asked> asked;
  bool full = false;
};

wire::Record record(const std::string& text) {
  return wire::record_from_text(text, 0, Name()).value();
}

class ForwarderTest : public testing::Test {
 protected:
  ForwarderTest() {
    auto upstream = std::make_unique<FakeUpstream>();
    upstream_ = upstream.get();
    forwarder_ = std::make_unique<Forwarder>(std::move(upstream), clock_);
  }

  static wire::Message question(const std::string& name, RRType type = RRType::a) {
    wire::Message query;
    query.header.id = 7;
    query.header.recursion_desired = true;
    query.question.push_back({Name::parse(name).value(), type, wire::RRClass::in});
    return query;
  }

  bool ask(const wire::Message& query, Transport transport = Transport::udp) {
    return forwarder_->take({query.to_wire(), {}, transport, [this](Bytes response) {
                               replies_.push_back(std::move(response));
                             }});
  }

  // Answers the query that waits upstream.
  void answer(const std::function<void(wire::Message&)>& fill) {
    ASSERT_FALSE(upstream_->asked.empty());
    const auto asked = std::move(upstream_->asked.front());
    upstream_->asked.pop_front();
    wire::Message response = wire::parse(asked.query).value().response(Rcode::noerror);
    fill(response);
    asked.done(response.to_wire());
  }

  wire::Message reply() {
    EXPECT_FALSE(replies_.empty());
    const wire::Message first = wire::parse(replies_.front()).value();
    replies_.pop_front();
    return first;
  }

  FakeClock clock_;
  FakeUpstream* upstream_ = nullptr;
  std::unique_ptr<Forwarder> forwarder_;
  std::deque<Bytes> replies_;
};

TEST_F(ForwarderTest, PassesTheQuestionOnAndTheAnswerBack) {
  ASSERT_TRUE(ask(question("wWw.example.org")));
  const auto sent = wire::parse(upstream_->asked.front().query).value();
  EXPECT_TRUE(sent.header.recursion_desired);
  ASSERT_TRUE(sent.edns);
  EXPECT_FALSE(sent.edns->dnssec_ok);
  answer([](wire::Message& response) {
    response.header.authentic_data = true;
    response.answer.push_back(record("www.example.org. 60 IN A 192.0.2.1"));
  });
  const auto response = reply();
  EXPECT_EQ(response.header.id, 7);
  EXPECT_TRUE(response.header.recursion_available);
  EXPECT_FALSE(response.header.authentic_data);
  EXPECT_FALSE(response.header.authoritative);
  EXPECT_FALSE(response.edns);  // the client did not speak EDNS
  EXPECT_EQ(response.question[0].name.to_text(), "wWw.example.org.");
  EXPECT_THAT(response.answer, SizeIs(1));
}

TEST_F(ForwarderTest, RemembersAnswersForTheirTtl) {
  ASSERT_TRUE(ask(question("www.example.org")));
  answer([](wire::Message& response) {
    response.answer.push_back(record("www.example.org. 60 IN A 192.0.2.1"));
  });
  reply();
  clock_.advance(seconds(20));
  ASSERT_TRUE(ask(question("WWW.example.ORG")));
  EXPECT_THAT(upstream_->asked, IsEmpty());
  const auto cached = reply();
  EXPECT_EQ(cached.answer[0].ttl, 40u);
  EXPECT_EQ(cached.question[0].name.to_text(), "WWW.example.ORG.");
  clock_.advance(seconds(41));
  ASSERT_TRUE(ask(question("www.example.org")));
  EXPECT_THAT(upstream_->asked, SizeIs(1));
}

TEST_F(ForwarderTest, RemembersNegativeAnswersForTheirSoa) {
  ASSERT_TRUE(ask(question("no.example.org")));
  answer([](wire::Message& response) {
    response.header.rcode = Rcode::nxdomain;
    response.authority.push_back(record("example.org. 900 IN SOA ns. h. 1 1 1 1 30"));
  });
  EXPECT_EQ(reply().header.rcode, Rcode::nxdomain);
  clock_.advance(seconds(29));
  ASSERT_TRUE(ask(question("no.example.org")));
  EXPECT_EQ(reply().header.rcode, Rcode::nxdomain);
  clock_.advance(seconds(2));
  ASSERT_TRUE(ask(question("no.example.org")));
  EXPECT_THAT(upstream_->asked, SizeIs(1));
}

TEST_F(ForwarderTest, KeepsApartWhatDnssecAsksFor) {
  wire::Message secure = question("www.example.org");
  secure.edns.emplace();
  secure.edns->dnssec_ok = true;
  ASSERT_TRUE(ask(secure));
  EXPECT_TRUE(wire::parse(upstream_->asked.front().query).value().edns->dnssec_ok);
  answer([](wire::Message& response) {
    response.answer.push_back(record("www.example.org. 60 IN A 192.0.2.1"));
  });
  EXPECT_TRUE(reply().edns->dnssec_ok);
  ASSERT_TRUE(ask(question("www.example.org")));
  EXPECT_THAT(upstream_->asked, SizeIs(1));
}

TEST_F(ForwarderTest, FailuresAreServfailWithAReasonAndNotKept) {
  wire::Message query = question("www.example.org");
  query.edns.emplace();
  ASSERT_TRUE(ask(query));
  upstream_->asked.front().done(Error("ask upstream: timed out"));
  upstream_->asked.clear();
  const auto failed = reply();
  EXPECT_EQ(failed.header.rcode, Rcode::servfail);
  ASSERT_TRUE(wire::find_extended_error(failed.edns));
  EXPECT_EQ(wire::find_extended_error(failed.edns)->text, "ask upstream: timed out");
  ASSERT_TRUE(ask(query));
  ASSERT_THAT(upstream_->asked, SizeIs(1));
  upstream_->asked.front().done(Bytes{1, 2, 3});
  EXPECT_EQ(reply().header.rcode, Rcode::servfail);
}

TEST_F(ForwarderTest, AnAnswerToAnotherQuestionIsNoAnswer) {
  ASSERT_TRUE(ask(question("www.example.org")));
  answer([](wire::Message& response) {
    response.question[0].name = Name::parse("evil.example").value();
  });
  EXPECT_EQ(reply().header.rcode, Rcode::servfail);
}

TEST_F(ForwarderTest, LargeAnswersAreTruncatedForUdp) {
  const auto fill = [](wire::Message& response) {
    for (int i = 0; i < 100; ++i)
      response.answer.push_back(record("www.example.org. 60 IN A 192.0.2." + std::to_string(i)));
  };
  ASSERT_TRUE(ask(question("www.example.org")));
  answer(fill);
  EXPECT_LE(replies_.front().size(), 512u);
  EXPECT_TRUE(reply().header.truncated);
  ASSERT_TRUE(ask(question("www.example.org"), Transport::tcp));
  EXPECT_THAT(reply().answer, SizeIs(100));
}

TEST_F(ForwarderTest, SaysWhenItIsFull) {
  upstream_->full = true;
  EXPECT_FALSE(ask(question("www.example.org")));
}

TEST(ResponseCache, StaysWithinItsBound) {
  ResponseCache cache(20'000);
  FakeClock clock;
  wire::Message response;
  response.answer.push_back(record("www.example.org. 60 IN A 192.0.2.1"));
  for (int i = 0; i < 1000; ++i) cache.put(std::to_string(i), response, clock.steady_now());
  EXPECT_GT(cache.size(), 5u);
  EXPECT_LT(cache.size(), 40u);
  EXPECT_TRUE(cache.find("999", clock.steady_now()));
  EXPECT_FALSE(cache.find("0", clock.steady_now()));
}

TEST(ResponseCache, KeepsNothingThatMayNotBeKept) {
  ResponseCache cache(20'000);
  FakeClock clock;
  wire::Message no_soa, zero_ttl, failure, truncated;
  zero_ttl.answer.push_back(record("www.example.org. 0 IN A 192.0.2.1"));
  failure.header.rcode = Rcode::servfail;
  truncated = zero_ttl;
  truncated.answer[0].ttl = 60;
  truncated.header.truncated = true;
  for (const auto* response : {&no_soa, &zero_ttl, &failure, &truncated})
    cache.put("key", *response, clock.steady_now());
  EXPECT_EQ(cache.size(), 0u);
}

}  // namespace
}  // namespace mutua::authority
