#include "peer/supervisor/sign_snapshot.h"

#include "peer/snapshot/ssh_signature.h"

namespace mutua::peer {

Result<LocalSnapshot> sign_snapshot(const BlobStore& store, const trust::PrivateKey& key,
                                    const SnapshotLayers& layers, SnapshotConfig config,
                                    const Clock& clock) {
  config.bases = {layers.kernel.digest.label(), layers.base_disk.digest.label()};
  config.created = rfc3339(clock.wall_now());
  const Bytes config_raw = print_snapshot_config(config);
  const trust::Digest config_digest = TRY(store.put(config_raw));
  Manifest manifest;
  manifest.artifact_type = media_type::snapshot;
  manifest.config = {
      std::string(media_type::snapshot_config), config_digest, config_raw.size(), {}};
  manifest.layers = layers.descriptors();
  manifest.annotations = {{"org.opencontainers.image.created", config.created},
                          {"org.opencontainers.image.title", config.service}};

  const Bytes raw = print_manifest(manifest);
  const trust::Digest digest = TRY(store.put(raw));
  const Bytes armored = to_bytes(
      std::string_view(make_ssh_signature(key, kSnapshotNamespace, as_bytes(digest.to_text()))));
  const Descriptor subject{std::string(media_type::image_manifest), digest, raw.size(), {}};
  const Bytes signature_raw = print_manifest(signature_manifest(subject, armored));
  TRY(store.put(as_bytes("{}")));
  const trust::Digest signature_blob = TRY(store.put(armored));
  const trust::Digest signature_digest = TRY(store.put(signature_raw));
  // Read back through the checks that every other peer will make.
  return load_local(store, config.service, {digest, signature_digest, signature_blob},
                    key.public_key());
}

}  // namespace mutua::peer
