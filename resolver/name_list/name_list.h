#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/socket_address.h"
#include "wire/message.h"
#include "wire/name.h"
#include "wire/tsig_key.h"

namespace mutua::resolver {

// The hostnames outside the zone that the zone looks aside for, each in lower case with its final
// dot.
using LookasideNames = std::unordered_set<std::string>;

// The hostname that `record` describes, where it stands below lookaside.<zone>: the TXT or CNAME of
// www.example.org.lookaside.fed.example. is about www.example.org. PURE.
std::optional<wire::Name> looked_aside(const wire::Record& record, const wire::Name& zone);

// Which names outside the zone the authority is worth asking about: a list that is fetched whole,
// by a zone transfer, so that nobody is told which of all the world's names this machine looks up.
// Fetched at the start and every minute, from the first authority that gives it, on a thread of its
// own; while there is none, or none any more for `stale_for`, no name is listed. contains() is
// thread-safe. The first contains() after the machine was asleep has the list fetched at once.
class NameList {
 public:
  // `clock` counts the time asleep, and outlives the list.
  NameList(wire::Name zone, std::vector<SocketAddress> authorities,
           std::optional<wire::TsigKey> transfer_key, std::chrono::seconds stale_for,
           const Clock& clock);
  ~NameList();  // waits for a transfer under way, 10 s at most

  bool contains(const wire::Name& name) const;
  std::size_t size() const;

 private:
  void run();
  void fetch();

  const wire::Name zone_;
  const std::vector<SocketAddress> authorities_;
  const std::optional<wire::TsigKey> transfer_key_;
  const std::chrono::seconds stale_for_;
  const Clock& clock_;
  mutable std::mutex mutex_;  // guards the rest
  mutable std::condition_variable wake_;
  mutable bool overdue_ = false;
  bool stopping_ = false, failure_logged_ = false;
  std::shared_ptr<const LookasideNames> names_;
  SteadyTime tried_at_{}, fetched_at_{};
  std::thread thread_;
};

}  // namespace mutua::resolver
