#pragma once

#include <functional>
#include <optional>
#include <set>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "peer/directory/directory.h"
#include "peer/exchange/fetch.h"
#include "peer/layers/blob_store.h"
#include "peer/supervisor/local_snapshot.h"

namespace mutua::peer {

// Why these bases may not be run: the first one that the operator revoked or does not list, and
// what to do. Empty where all are trusted. An error means only that nobody could be asked.
Result<std::string> untrusted_base(const Directory& directory,
                                   const std::vector<std::string>& labels);

struct AcquireLimits {
  std::uint64_t snapshot_bytes = 0;  // all blobs together
  unsigned memory_mib = 0;           // of the machine
  bool allow_outbound = false;
  std::set<std::string> engines;  // of this host
};

// Brings the current snapshot of a service into the store, in the order of PROTOCOL.md: what the
// zone says; a manifest of that digest; the owner's signature; its bases against the zone's TXT
// and the operator's list; its config; then each layer, hashed while it comes. Nothing is parsed
// before it is verified. Sources are the owner and every committed peer but `own_peer`.
Result<LocalSnapshot> acquire(const Directory& directory, const BlobStore& store,
                              const std::string& service, const std::string& own_peer,
                              const std::optional<JournalEntry::Held>& held,
                              const AcquireLimits& limits,
                              const std::function<void(const FetchProgress&)>& on_progress,
                              std::stop_token stop);

// Fails where this peer's limits do not allow the machine.
Result<void> check_limits(const SnapshotConfig& config, const AcquireLimits& limits);

}  // namespace mutua::peer
