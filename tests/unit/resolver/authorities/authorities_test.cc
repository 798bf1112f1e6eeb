#include "resolver/authorities/authorities.h"

#include <gtest/gtest.h>

#include "support/fake_clock.h"

namespace mutua::resolver {
namespace {

using namespace std::chrono_literals;
using State = Authorities::Standing::State;

// Three nameservers that answer when the test says so, and timers that run when it says so.
class AuthoritiesTest : public testing::Test {
 protected:
  std::vector<Authorities::Server> servers() {
    std::vector<Authorities::Server> made;
    for (int i = 0; i < 3; ++i) {
      made.push_back({SocketAddress::parse("192.0.2." + std::to_string(i + 1) + ":53").value(),
                      [this, i](Bytes, std::function<void(Result<Bytes>)> done) {
                        asked_ += std::to_string(i);
                        waiting_[i].push_back(std::move(done));
                      }});
    }
    return made;
  }
  Later later() {
    return [this](std::chrono::milliseconds delay, std::function<void()> action) {
      timers_.push_back({delay, std::move(action)});
    };
  }

  void ask() {
    said_ = "";
    authorities_.ask(
        {},
        [](BytesView octets) -> ZoneAnswer {
          if (as_text(octets) == "lie") return Flaw{wire::ExtendedError::dnssec_bogus, "a lie"};
          return wire::Message{};
        },
        [this](std::variant<Authorities::Response, Flaw> answer) {
          const auto* flaw = std::get_if<Flaw>(&answer);
          said_ += flaw ? "flaw " + flaw->text
                        : std::string(as_text(std::get<Authorities::Response>(answer).octets));
          said_ += ".";
        });
  }
  void answer(int server, const char* text) {
    auto done = std::move(waiting_[server].front());
    waiting_[server].erase(waiting_[server].begin());
    done(to_bytes(std::string_view(text)));
  }
  void run_timers() {
    auto due = std::move(timers_);
    timers_.clear();
    for (auto& timer : due) timer.second();
  }
  State state(std::size_t server) const { return authorities_.standings()[server].state; }

  FakeClock clock_;
  std::string asked_, said_;
  std::vector<std::function<void(Result<Bytes>)>> waiting_[3];
  std::vector<std::pair<std::chrono::milliseconds, std::function<void()>>> timers_;
  Authorities authorities_{servers(), later(), clock_};
};

TEST_F(AuthoritiesTest, TheFirstIsAskedAloneWhileItAnswers) {
  ask();
  answer(0, "yes");
  EXPECT_EQ(said_, "yes.");
  run_timers();
  EXPECT_EQ(asked_, "0");
  EXPECT_EQ(state(0), State::answers);
  EXPECT_EQ(state(1), State::untried);
}

TEST_F(AuthoritiesTest, OneThatIsSilentIsNotWaitedForTwice) {
  ask();
  EXPECT_EQ(timers_[0].first, 400ms);
  run_timers();
  EXPECT_EQ(asked_, "01");
  answer(1, "yes");
  EXPECT_EQ(said_, "yes.");
  ask();
  EXPECT_EQ(asked_, "011") << "who answered comes first";
  answer(1, "yes");
  clock_.advance(1001ms);
  ask();
  EXPECT_EQ(asked_, "0110") << "the first one has another chance";
}

TEST_F(AuthoritiesTest, AnAnswerThatComesLateStillCounts) {
  ask();
  run_timers();
  clock_.advance(500ms);
  answer(0, "late");
  EXPECT_EQ(said_, "late.");
  EXPECT_EQ(state(0), State::answers);
  answer(1, "too late");
  EXPECT_EQ(said_, "late.") << "once";
}

TEST_F(AuthoritiesTest, WhoLiesIsPassedOverAtOnceAndComesLast) {
  ask();
  answer(0, "lie");
  EXPECT_EQ(asked_, "01");
  answer(1, "yes");
  EXPECT_EQ(said_, "yes.");
  EXPECT_EQ(authorities_.standings()[0].last_failure, "a lie");
  ask();
  EXPECT_EQ(asked_, "011");
}

TEST_F(AuthoritiesTest, WhenAllFailTheLastFlawIsSaidOnce) {
  ask();
  answer(0, "lie");
  answer(1, "lie");
  EXPECT_EQ(said_, "");
  answer(2, "lie");
  EXPECT_EQ(said_, "flaw a lie.");
  ask();
  EXPECT_EQ(asked_, "0120") << "in their order, when all are alike";
}

TEST_F(AuthoritiesTest, OneThatStaysAwayIsTriedLessAndLess) {
  ask();
  answer(0, "lie");
  answer(1, "yes");
  for (int i = 0; i < 10; ++i) {
    clock_.advance(30s);
    ask();
    const bool tried = !waiting_[0].empty();
    if (tried) answer(0, "lie");
    answer(1, "yes");
  }
  EXPECT_LE(std::count(asked_.begin(), asked_.end(), '0'), 9);
  clock_.advance(61s);
  ask();
  EXPECT_EQ(asked_.back(), '0');
}

TEST_F(AuthoritiesTest, PatienceFollowsTheRoundTrip) {
  ask();
  clock_.advance(40ms);
  answer(0, "yes");
  timers_.clear();
  ask();
  EXPECT_EQ(timers_[0].first, 160ms);
}

TEST_F(AuthoritiesTest, AfterTheEndNobodyIsAsked) {
  ask();
  authorities_.stop();
  answer(0, "lie");
  EXPECT_EQ(asked_, "0");
  EXPECT_EQ(said_, "flaw the end has come.");
  ask();
  EXPECT_EQ(said_, "flaw the end has come.");
}

}  // namespace
}  // namespace mutua::resolver
