#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "authority/config.h"
#include "authority/dnssec/key_keeper.h"
#include "authority/dnssec/parent_watch.h"
#include "authority/server/handover.h"
#include "authority/store/zone_store.h"
#include "authority/transfer/follower.h"
#include "authority/writer/writer.h"
#include "base/result.h"

namespace mutua::authority {

// Where the zone's versions come from: the writer of a primary with its keys, or the follower of a
// secondary.
class ZoneSource {
 public:
  // `published` is called after new versions. `store` outlives the source.
  static Result<std::unique_ptr<ZoneSource>> create(const AuthorityConfig& config, ZoneStore& store,
                                                    std::function<void()> published);

  Catalog& catalog() { return follower_ ? follower_->catalog() : writer_->catalog(); }
  const ChangeHistory& history() const {
    return follower_ ? follower_->history() : writer_->history();
  }

  // Null where the zone is another's.
  const WriterCounters* writer_counters() const { return writer_ ? &writer_->counters() : nullptr; }

  // Takes UPDATE and NOTIFY.
  Taker taker();
  // In front of it.
  DatagramGate gate();

  // Fails where another configuration cannot be taken up without a restart.
  Result<void> check(const AuthorityConfig& config) const;
  // Takes up its keys, or its primaries.
  void reload(const AuthorityConfig& config);

  void start();
  void stop();  // after what it took is answered

 private:
  ZoneSource() = default;

  std::optional<KeyKeeper> keys_;  // the writer's
  std::unique_ptr<Writer> writer_;
  std::unique_ptr<ParentWatch> parent_watch_;
  std::unique_ptr<Follower> follower_;
};

}  // namespace mutua::authority
