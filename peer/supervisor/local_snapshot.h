#pragma once

#include <set>
#include <string>

#include "base/result.h"
#include "peer/exchange/offers.h"
#include "peer/layers/blob_store.h"
#include "peer/snapshot/verified_manifest.h"
#include "peer/supervisor/journal.h"

namespace mutua::peer {

// A snapshot that is whole in this peer's store and that was verified.
struct LocalSnapshot {
  VerifiedManifest manifest;
  SnapshotConfig config;
  Referrer signature;
  trust::Digest signature_blob;

  Offer offer() const;
  JournalEntry::Held held() const;
};

// Reads one from the store, verifying all but the layers anew; those were hashed when they came.
Result<LocalSnapshot> load_local(const BlobStore& store, const std::string& service,
                                 const JournalEntry::Held& held, const trust::PublicKey& owner);

// The digests of all blobs that `held` needs, for the store's clean-up; without verifying.
std::set<trust::Digest> digests_of(const BlobStore& store, const JournalEntry::Held& held);

}  // namespace mutua::peer
