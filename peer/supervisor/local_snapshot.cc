#include "peer/supervisor/local_snapshot.h"

#include "peer/snapshot/ssh_signature.h"

namespace mutua::peer {

Offer LocalSnapshot::offer() const {
  Offer offer;
  offer.manifest = manifest.digest();
  offer.manifests = {manifest.digest(), signature.manifest.digest};
  offer.blobs = {signature_blob, trust::sha256(as_bytes("{}"))};
  for (const Descriptor& blob : manifest.blobs()) offer.blobs.insert(blob.digest);
  offer.signatures = {signature};
  return offer;
}

JournalEntry::Held LocalSnapshot::held() const {
  return {manifest.digest(), signature.manifest.digest, signature_blob};
}

Result<LocalSnapshot> load_local(const BlobStore& store, const std::string& service,
                                 const JournalEntry::Held& held, const trust::PublicKey& owner) {
  const Bytes raw = TRY(store.read(held.manifest, kLargestManifestBytes));
  const Bytes armored = TRY(store.read(held.signature_blob, kLargestSshSignatureBytes));
  // The size was limited when it came.
  VerifiedManifest manifest =
      TRY(verify(raw, held.manifest, as_text(armored), owner, kLargestBlobBytes));
  const Bytes config_raw =
      TRY(store.read(manifest.manifest().config.digest, kLargestSnapshotConfigBytes));
  SnapshotConfig config = TRY(verify_config(manifest, config_raw, service));
  for (const Descriptor& blob : manifest.blobs()) {
    const auto size_bytes = TRY(store.size(blob.digest));
    if (size_bytes != blob.size_bytes)
      return Error("blob " + blob.digest.to_text() + " is not whole");
  }
  const auto signature_size = TRY(store.size(held.signature_manifest));
  Referrer signature{
      {std::string(media_type::image_manifest), held.signature_manifest, signature_size, {}},
      std::string(media_type::signature)};
  return LocalSnapshot{std::move(manifest), std::move(config), std::move(signature),
                       held.signature_blob};
}

std::set<trust::Digest> digests_of(const BlobStore& store, const JournalEntry::Held& held) {
  std::set<trust::Digest> digests{held.manifest, held.signature_manifest, held.signature_blob,
                                  trust::sha256(as_bytes("{}"))};
  const auto raw = store.read(held.manifest, kLargestManifestBytes);
  if (!raw.ok()) return digests;
  const auto manifest = parse_manifest(*raw);
  if (!manifest.ok()) return digests;
  digests.insert(manifest->config.digest);
  for (const Descriptor& layer : manifest->layers) digests.insert(layer.digest);
  if (const auto layers = read_snapshot_layers(*manifest); layers.ok()) {
    digests.merge(digests_of(*layers));
  }
  return digests;
}

}  // namespace mutua::peer
