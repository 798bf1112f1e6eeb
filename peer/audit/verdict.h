#pragma once

#include <cstddef>
#include <deque>

namespace mutua::peer {

// PURE: what an owner does about a replica after its checks.

enum class Outcome {
  passed,
  altered,      // it answered, and not as the owner expects
  unreachable,  // it did not answer: a matter for its lease, not for blame
  unchecked,    // the check itself could not run: says nothing
};

enum class Standing {
  candidate,  // committed, not admitted
  admitted,
  denied,
};

enum class Action {
  none,
  admit,    // the first passed check
  suspend,  // three rounds without an answer: out of the list until it answers again
  deny,     // altered in 2 of the last 3 answers: out for good
};

constexpr std::size_t kAlteredToDeny = 2;
constexpr std::size_t kAnswersRemembered = 3;
constexpr std::size_t kUnreachableToSuspend = 3;

// The recent outcomes of one replica. An altered answer weighs although others passed in between;
// silence does not wash it away.
class History {
 public:
  void add(Outcome outcome);

  std::size_t altered() const;                           // among the remembered answers
  std::size_t silent_rounds() const { return silent_; }  // since the last answer
  bool last_passed() const { return silent_ == 0 && !answers_.empty() && answers_.back(); }

 private:
  std::deque<bool> answers_;  // true: passed; the newest last
  std::size_t silent_ = 0;
};

Action decide(Standing standing, const History& history);

const char* to_string(Outcome outcome);
const char* to_string(Standing standing);
const char* to_string(Action action);

}  // namespace mutua::peer
