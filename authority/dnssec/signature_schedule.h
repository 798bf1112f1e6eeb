#pragma once

#include <map>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "wire/name.h"

namespace mutua::authority {

// When which names have a signature to renew, to the hour. What was signed anew meanwhile is still
// on the list, and is found to be good when its time comes. Not thread-safe.
class SignatureSchedule {
 public:
  void add(const wire::Name& owner, WallTime due);
  std::optional<WallTime> next_due() const;
  // Takes up to `most` names that are due.
  std::vector<wire::Name> take_due(WallTime now, std::size_t most);
  void clear() { by_hour_.clear(); }

 private:
  std::map<WallTime, std::vector<wire::Name>> by_hour_;
};

}  // namespace mutua::authority
