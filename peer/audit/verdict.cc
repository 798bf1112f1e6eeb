#include "peer/audit/verdict.h"

#include <algorithm>

namespace mutua::peer {

void History::add(Outcome outcome) {
  if (outcome == Outcome::unchecked) return;
  if (outcome == Outcome::unreachable) {
    ++silent_;
    return;
  }
  silent_ = 0;
  answers_.push_back(outcome == Outcome::passed);
  if (answers_.size() > kAnswersRemembered) answers_.pop_front();
}

std::size_t History::altered() const {
  return static_cast<std::size_t>(std::ranges::count(answers_, false));
}

Action decide(Standing standing, const History& history) {
  if (standing == Standing::denied) return Action::none;
  if (history.altered() >= kAlteredToDeny) return Action::deny;
  if (standing == Standing::candidate) return history.last_passed() ? Action::admit : Action::none;
  if (history.silent_rounds() >= kUnreachableToSuspend) return Action::suspend;
  return Action::none;
}

const char* to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::passed:
      return "passed";
    case Outcome::altered:
      return "altered";
    case Outcome::unreachable:
      return "unreachable";
    case Outcome::unchecked:
      return "unchecked";
  }
  return "";
}

const char* to_string(Standing standing) {
  switch (standing) {
    case Standing::candidate:
      return "candidate";
    case Standing::admitted:
      return "admitted";
    case Standing::denied:
      return "denied";
  }
  return "";
}

const char* to_string(Action action) {
  switch (action) {
    case Action::none:
      return "none";
    case Action::admit:
      return "admit";
    case Action::suspend:
      return "suspend";
    case Action::deny:
      return "deny";
  }
  return "";
}

}  // namespace mutua::peer
