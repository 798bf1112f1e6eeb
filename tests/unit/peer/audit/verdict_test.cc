#include "peer/audit/verdict.h"

#include <gtest/gtest.h>

#include <string>

namespace mutua::peer {
namespace {

// p: passed, a: altered, u: unreachable, c: unchecked
History history_of(const std::string& outcomes) {
  History history;
  for (const char c : outcomes) {
    history.add(c == 'p'   ? Outcome::passed
                : c == 'a' ? Outcome::altered
                : c == 'u' ? Outcome::unreachable
                           : Outcome::unchecked);
  }
  return history;
}

TEST(Verdict, FollowsFromTheStandingAndTheLastOutcomes) {
  struct Case {
    Standing standing;
    const char* outcomes;
    Action action;
  };
  for (const Case& one : {Case{Standing::candidate, "", Action::none},
                          Case{Standing::candidate, "p", Action::admit},
                          Case{Standing::candidate, "u", Action::none},
                          Case{Standing::candidate, "uuuuu", Action::none},
                          Case{Standing::candidate, "pu", Action::none},
                          Case{Standing::candidate, "a", Action::none},
                          Case{Standing::candidate, "ap", Action::admit},
                          Case{Standing::candidate, "aa", Action::deny},
                          Case{Standing::candidate, "apa", Action::deny},
                          Case{Standing::admitted, "p", Action::none},
                          Case{Standing::admitted, "pa", Action::none},
                          Case{Standing::admitted, "paa", Action::deny},
                          Case{Standing::admitted, "pppaa", Action::deny},
                          Case{Standing::admitted, "apa", Action::deny},
                          Case{Standing::admitted, "appa", Action::none},
                          Case{Standing::admitted, "aua", Action::deny},
                          Case{Standing::admitted, "pauuuua", Action::deny},
                          Case{Standing::admitted, "uu", Action::none},
                          Case{Standing::admitted, "puuu", Action::suspend},
                          Case{Standing::admitted, "uuup", Action::none},
                          Case{Standing::admitted, "ccccc", Action::none},
                          Case{Standing::candidate, "cc", Action::none},
                          Case{Standing::admitted, "aca", Action::deny},
                          Case{Standing::denied, "ppp", Action::none},
                          Case{Standing::denied, "aaa", Action::none},
                          Case{Standing::denied, "uuu", Action::none}}) {
    EXPECT_EQ(decide(one.standing, history_of(one.outcomes)), one.action)
        << to_string(one.standing) << " after " << one.outcomes;
  }
}

}  // namespace
}  // namespace mutua::peer
