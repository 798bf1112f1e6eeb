#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/socket_address.h"
#include "wire/name.h"

namespace mutua::authority {

// Asks the nameservers of the zone above, while a key waits for it, whether they show its DS, and
// notes it in the key store once all of them do (RFC 7344 section 4.1: the zone above is one too,
// and its secondaries follow at their own pace). One thread, with its own view of the store.
class ParentWatch {
 public:
  // `parents`: at least one, each asked by itself. The clock outlives the watch.
  static Result<std::unique_ptr<ParentWatch>> create(
      const std::filesystem::path& key_folder, const wire::Name& zone,
      const std::vector<SocketAddress>& parents, const Clock& clock,
      std::chrono::milliseconds pause = std::chrono::seconds(30));
  virtual ~ParentWatch() = default;  // stops
  virtual void start() = 0;
  virtual void stop() = 0;
};

}  // namespace mutua::authority
