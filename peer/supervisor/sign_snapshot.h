#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "peer/snapshot/config.h"
#include "peer/supervisor/local_snapshot.h"
#include "trust/key.h"

namespace mutua::peer {

// Makes a service's manifest of layers that the store holds, and signs it. `config.bases` and
// `config.created` are filled in.
Result<LocalSnapshot> sign_snapshot(const BlobStore& store, const trust::PrivateKey& key,
                                    const SnapshotLayers& layers, SnapshotConfig config,
                                    const Clock& clock);

}  // namespace mutua::peer
