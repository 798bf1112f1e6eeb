#include "resolver/discovery/discovery.h"

#include <gtest/gtest.h>

#include <map>

#include "support/fake_clock.h"
#include "wire/presentation.h"
#include "wire/rdata.h"

namespace mutua::resolver {
namespace {

using namespace std::chrono_literals;
using wire::Message;
using wire::Name;
using wire::RRType;

Name name(const std::string& text) { return Name::parse(text).value(); }

// An authority that answers when the test says so.
class Authority {
 public:
  AskZone ask() {
    return [this](const wire::Question& question, std::function<void(ZoneAnswer)> done) {
      Message message;
      message.question.push_back(question);
      asked.push_back(question.name.to_text() + " " + wire::to_text(question.type));
      waiting.push_back({std::move(message), std::move(done)});
    };
  }

  // Answers everything that waits, what comes of it included, from `records`.
  void answer() {
    while (!waiting.empty()) {
      auto [query, done] = std::move(waiting.front());
      waiting.erase(waiting.begin());
      if (away) {
        done(Flaw{wire::ExtendedError::no_reachable_authority, "time-out"});
        continue;
      }
      Message response = query.response(wire::Rcode::noerror);
      for (const std::string& text : records) {
        auto record = wire::record_from_text(text, 60, Name()).value();
        const bool asked_for =
            record.owner == query.question[0].name && record.type == query.question[0].type;
        if (asked_for) response.answer.push_back(std::move(record));
      }
      done(std::move(response));
    }
  }

  bool away = false;
  std::vector<std::string> records, asked;
  std::vector<std::pair<Message, std::function<void(ZoneAnswer)>>> waiting;
};

class DiscoveryTest : public testing::Test {
 protected:
  static DiscoverySettings settings(Lookaside lookaside = Lookaside::no) {
    DiscoverySettings made;
    made.zone = name("fed.example");
    made.lookaside = lookaside;
    return made;
  }

  void publish() {
    authority_.records = {"blog.fed.example. 60 IN TXT \"v=1 ports=80/tcp\"",
                          "_80._tcp.blog.fed.example. 60 IN SRV 0 0 8080 a.peers.fed.example.",
                          "a.peers.fed.example. 60 IN A 192.0.2.1"};
  }

  std::string find(Discovery& discovery,
                   Discovery::Freshness freshness = Discovery::Freshness::cached) {
    std::string text = "waits";
    discovery.find(name("blog.fed.example"), {80, Transport::tcp}, freshness,
                   [&text](Result<Discovery::SharedCandidates> found) {
                     text = found ? "" : found.error().message();
                     if (!found) return;
                     for (const Candidate& one : **found) text += one.address.to_text() + " ";
                   });
    authority_.answer();
    return text;
  }

  FakeClock clock_;
  Authority authority_;
};

TEST_F(DiscoveryTest, NamesOutsideTheZoneAreNotAskedOfTheAuthority) {
  Discovery discovery(settings(), authority_.ask(), clock_);
  bool held = true;
  discovery.describe(name("www.example.org"), [&](auto found) { held = (*found)->held; });
  EXPECT_FALSE(held);
  EXPECT_TRUE(authority_.asked.empty());
  Discovery lookaside(settings(Lookaside::yes), authority_.ask(), clock_);
  lookaside.describe(name("www.example.org"), [](auto) {});
  EXPECT_EQ(authority_.asked.size(), 1u);
  authority_.answer();
}

TEST_F(DiscoveryTest, OneQuestionServesAllWhoAskAtOnceAndLaterUntilTheTtlIsOver) {
  publish();
  Discovery discovery(settings(), authority_.ask(), clock_);
  int held = 0;
  for (int i = 0; i < 100; ++i) {
    discovery.describe(name("Blog.FED.example"), [&](auto found) { held += (*found)->held; });
  }
  EXPECT_EQ(held, 0);
  authority_.answer();
  EXPECT_EQ(held, 100);
  clock_.advance(59s);
  discovery.describe(name("blog.fed.example"), [&](auto found) { held += (*found)->held; });
  EXPECT_EQ(held, 101);
  EXPECT_EQ(authority_.asked.size(), 1u);
  clock_.advance(2s);
  discovery.describe(name("blog.fed.example"), [&](auto found) { held += (*found)->held; });
  EXPECT_EQ(authority_.asked.size(), 2u);
  authority_.answer();
  EXPECT_EQ(held, 102);
}

TEST_F(DiscoveryTest, AddressesThatDidNotComeAlongAreAskedFor) {
  publish();
  authority_.records.push_back("a.peers.fed.example. 60 IN AAAA 2001:db8::1");
  Discovery discovery(settings(), authority_.ask(), clock_);
  EXPECT_EQ(find(discovery), "192.0.2.1:8080 [2001:db8::1]:8080 ");
  EXPECT_EQ(authority_.asked.size(), 3u);
}

TEST_F(DiscoveryTest, AListOfManyNamesDoesNotMakeManyQuestions) {
  for (int i = 0; i < 64; ++i)
    authority_.records.push_back("_80._tcp.blog.fed.example. 60 IN SRV 0 0 8080 h" +
                                 std::to_string(i) + ".victim.example.");
  Discovery discovery(settings(), authority_.ask(), clock_);
  EXPECT_EQ(find(discovery), "");
  EXPECT_EQ(authority_.asked.size(), 63u);
}

TEST_F(DiscoveryTest, AServiceThatNobodyServesIsAnEmptyList) {
  Discovery discovery(settings(), authority_.ask(), clock_);
  EXPECT_EQ(find(discovery), "");
}

TEST_F(DiscoveryTest, TheStaleListServesOnWhileTheAuthorityIsAway) {
  publish();
  Discovery discovery(settings(), authority_.ask(), clock_);
  ASSERT_EQ(find(discovery), "192.0.2.1:8080 ");
  authority_.away = true;
  clock_.advance(61s);
  EXPECT_EQ(find(discovery), "192.0.2.1:8080 ");
  const auto asked = authority_.asked.size();
  clock_.advance(4s);
  EXPECT_EQ(find(discovery), "192.0.2.1:8080 ");
  EXPECT_EQ(authority_.asked.size(), asked) << "not asked again so soon";
  clock_.advance(2s);
  EXPECT_TRUE(discovery.find_cached(name("blog.fed.example"), {80, Transport::tcp}).has_value())
      << "nobody waits for an authority that is known to be away";
  EXPECT_EQ(authority_.asked.size(), asked + 1) << "but it is asked";
  authority_.away = false;
  authority_.records[2] = "a.peers.fed.example. 60 IN A 192.0.2.99";
  authority_.answer();
  EXPECT_EQ(find(discovery), "192.0.2.99:8080 ");
}

TEST_F(DiscoveryTest, AStaleListServesForItsTimeAndThenNotAtAll) {
  publish();
  auto for_a_day = settings();
  for_a_day.stale_for = 24h;
  Discovery discovery(for_a_day, authority_.ask(), clock_);
  ASSERT_EQ(find(discovery), "192.0.2.1:8080 ");
  authority_.away = true;
  clock_.advance(24h);
  EXPECT_EQ(find(discovery), "192.0.2.1:8080 ");
  clock_.advance(61s);
  EXPECT_NE(find(discovery).find("time-out"), std::string::npos);
}

TEST_F(DiscoveryTest, WhatComesFromAnOldCopyIsStaleFromThatTimeOn) {
  publish();
  auto from_copy = settings();
  from_copy.stale_for = 24h;
  from_copy.heard_at = [](SteadyTime now) { return now - 20h; };
  Discovery discovery(from_copy, authority_.ask(), clock_);
  ASSERT_EQ(find(discovery), "192.0.2.1:8080 ");
  authority_.away = true;
  clock_.advance(4h);
  EXPECT_EQ(find(discovery), "192.0.2.1:8080 ");
  clock_.advance(61s);
  EXPECT_NE(find(discovery).find("time-out"), std::string::npos);
}

TEST_F(DiscoveryTest, ADayAsleepMakesOldWhatWasFresh) {
  publish();
  Discovery discovery(settings(), authority_.ask(), clock_);
  ASSERT_EQ(find(discovery), "192.0.2.1:8080 ");
  authority_.records[2] = "a.peers.fed.example. 60 IN A 192.0.2.99";
  clock_.advance(24h);
  EXPECT_EQ(find(discovery), "192.0.2.99:8080 ");
}

TEST_F(DiscoveryTest, NobodyWaitsLongWhenAnOlderAnswerIsAtHand) {
  publish();
  auto with_timer = settings();
  std::vector<std::function<void()>> timers;
  with_timer.later = [&](std::chrono::milliseconds delay, std::function<void()> action) {
    EXPECT_EQ(delay, 1800ms);
    timers.push_back(std::move(action));
  };
  Discovery discovery(with_timer, authority_.ask(), clock_);
  ASSERT_EQ(find(discovery), "192.0.2.1:8080 ");
  EXPECT_TRUE(timers.empty());
  clock_.advance(61s);
  std::size_t candidates = 0;
  discovery.find(name("blog.fed.example"), {80, Transport::tcp}, Discovery::Freshness::cached,
                 [&](auto found) { candidates = (*found)->size(); });
  ASSERT_EQ(timers.size(), 1u);
  timers[0]();
  EXPECT_EQ(candidates, 1u) << "the stale list, while the question goes on";
  authority_.answer();
}

TEST_F(DiscoveryTest, AFailureWithoutAnOlderAnswerIsRememberedForTwoSeconds) {
  authority_.away = true;
  Discovery discovery(settings(), authority_.ask(), clock_);
  EXPECT_NE(find(discovery).find("time-out"), std::string::npos);
  EXPECT_NE(find(discovery).find("time-out"), std::string::npos);
  EXPECT_EQ(authority_.asked.size(), 1u);
  clock_.advance(3s);
  authority_.away = false;
  publish();
  EXPECT_EQ(find(discovery), "192.0.2.1:8080 ");
}

TEST_F(DiscoveryTest, ARefreshAsksThoughTheCacheIsFreshButNotTwiceWithinHalfASecond) {
  publish();
  Discovery discovery(settings(), authority_.ask(), clock_);
  ASSERT_EQ(find(discovery), "192.0.2.1:8080 ");
  const auto asked = authority_.asked.size();
  EXPECT_EQ(find(discovery, Discovery::Freshness::refreshed), "192.0.2.1:8080 ");
  EXPECT_EQ(authority_.asked.size(), asked);
  clock_.advance(1s);
  authority_.records[2] = "a.peers.fed.example. 60 IN A 192.0.2.99";
  EXPECT_EQ(find(discovery, Discovery::Freshness::refreshed), "192.0.2.99:8080 ");
}

TEST_F(DiscoveryTest, QuestionsAndThoseWhoWaitAreBounded) {
  auto small = settings();
  small.questions_in_flight = 2;
  small.waiting_for_one = 2;
  Discovery discovery(small, authority_.ask(), clock_);
  int refused = 0;
  const auto count = [&](Result<Discovery::SharedDescription> found) { refused += !found.ok(); };
  discovery.describe(name("a.fed.example"), count);
  discovery.describe(name("b.fed.example"), count);
  discovery.describe(name("c.fed.example"), count);
  EXPECT_EQ(refused, 1);
  discovery.describe(name("a.fed.example"), count);
  discovery.describe(name("a.fed.example"), count);
  EXPECT_EQ(refused, 2);
  authority_.answer();
  EXPECT_EQ(refused, 2);
}

TEST_F(DiscoveryTest, TheCacheIsBounded) {
  auto small = settings();
  small.cached_names = 3;
  Discovery discovery(small, authority_.ask(), clock_);
  for (const char* host : {"a", "b", "c", "d", "e"}) {
    discovery.describe(name(std::string(host) + ".fed.example"), [](auto) {});
    authority_.answer();
  }
  EXPECT_EQ(discovery.counts().descriptions, 3u);
}

}  // namespace
}  // namespace mutua::resolver
