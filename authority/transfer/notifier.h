#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "authority/transfer/transfer_rules.h"
#include "authority/zone/catalog.h"
#include "base/clock.h"
#include "base/result.h"

namespace mutua::authority {

struct NotifyTimes {
  // Changes in quick succession share a NOTIFY: this is the pause after each to one secondary.
  std::chrono::milliseconds pause{5};
  // The wait for an acknowledgement, doubled each time, before the NOTIFY is sent again.
  std::chrono::milliseconds first_retry{500};
  unsigned attempts = 7;  // about a minute; then the secondary's own refresh has to do
};

// Tells secondaries of every new serial by UDP (RFC 1996): at once, again until they acknowledge,
// and with the newest serial when more changes come. One thread.
class Notifier {
 public:
  // References outlive the notifier.
  static Result<std::unique_ptr<Notifier>> create(std::vector<NotifyTarget> targets,
                                                  const Catalog& catalog, const Clock& clock,
                                                  NotifyTimes times = {});
  virtual ~Notifier() = default;  // stops

  // Starts the thread, and tells everybody: much may have changed while nobody ran.
  virtual void start() = 0;
  virtual void stop() = 0;

  // Others are to be told from now on, and all of them at once. Thread-safe; fails, and changes
  // nothing, where there are no sockets to be had.
  virtual Result<void> replace(std::vector<NotifyTarget> targets) = 0;

  // There is a newer version in the catalog. Thread-safe, never blocks.
  virtual void zone_changed() = 0;
};

}  // namespace mutua::authority
