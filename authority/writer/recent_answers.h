#pragma once

#include <deque>
#include <map>
#include <utility>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/socket_address.h"
#include "trust/digest.h"

namespace mutua::authority {

// The answers of the last few seconds, for clients that send a request again because the answer
// was lost: the same octets from the same address and port get the first answer once more, and
// nothing is executed. Any other copy of a request is a replay.
class RecentAnswers {
 public:
  static trust::Digest key_of(BytesView message, const SocketAddress& source, bool tcp);

  // Nothing where the request is not a repetition. Valid until the next call of remember.
  const Bytes* find(const trust::Digest& key, SteadyTime now) const;
  void remember(const trust::Digest& key, Bytes answer, SteadyTime now);

 private:
  struct Entry {
    Bytes answer;
    SteadyTime at;
  };
  std::map<trust::Digest, Entry> entries_;
  std::deque<trust::Digest> by_age_;
};

}  // namespace mutua::authority
