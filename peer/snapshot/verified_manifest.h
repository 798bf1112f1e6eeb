#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "peer/snapshot/config.h"
#include "peer/snapshot/manifest.h"
#include "peer/snapshot/snapshot_layers.h"
#include "trust/key.h"

namespace mutua::peer {

// A snapshot's manifest that its owner vouches for. Only verify() makes one, so that no step
// after it can be reached with a manifest that was not checked.
class VerifiedManifest {
 public:
  const Manifest& manifest() const { return manifest_; }
  const trust::Digest& digest() const { return digest_; }
  const SnapshotLayers& layers() const { return layers_; }
  // Labels of the bases that the snapshot stands on, in the manifest's order.
  std::vector<std::string> base_labels() const;
  // All that a peer must hold to run it: the config and the layers.
  std::vector<Descriptor> blobs() const;

 private:
  VerifiedManifest() = default;
  friend Result<VerifiedManifest> verify(BytesView, const trust::Digest&, std::string_view,
                                         const trust::PublicKey&, std::uint64_t);

  Manifest manifest_;
  trust::Digest digest_;
  SnapshotLayers layers_;
};

// Checks, in this order: `raw` has the digest that the zone names; `signature` is the owner's over
// that digest's text; only then `raw` is parsed; its layers are those of a snapshot; the blobs, and
// the memories that they expand to, have no more than `limit_bytes` together.
Result<VerifiedManifest> verify(BytesView raw, const trust::Digest& digest_in_zone,
                                std::string_view signature, const trust::PublicKey& owner,
                                std::uint64_t limit_bytes);

// The config blob of a verified manifest: `raw` has the manifest's digest, names `service`, and
// its bases are the manifest's.
Result<SnapshotConfig> verify_config(const VerifiedManifest& manifest, BytesView raw,
                                     std::string_view service);

// The signature's own manifest (an OCI referrer of `subject`), around the armored SSHSIG.
Manifest signature_manifest(const Descriptor& subject, BytesView armored);

}  // namespace mutua::peer
