#include "peer/snapshot/verified_manifest.h"

#include "peer/snapshot/ssh_signature.h"

namespace mutua::peer {
std::vector<std::string> VerifiedManifest::base_labels() const {
  return {layers_.kernel.digest.label(), layers_.base_disk.digest.label()};
}

std::vector<Descriptor> VerifiedManifest::blobs() const {
  std::vector<Descriptor> blobs{manifest_.config};
  blobs.insert(blobs.end(), manifest_.layers.begin(), manifest_.layers.end());
  return blobs;
}

Result<VerifiedManifest> verify(BytesView raw, const trust::Digest& digest_in_zone,
                                std::string_view signature, const trust::PublicKey& owner,
                                std::uint64_t limit_bytes) {
  const std::string operation = "verify manifest " + digest_in_zone.to_text();
  if (raw.size() > kLargestManifestBytes) return Error(operation + ": too long");
  if (const trust::Digest found = trust::sha256(raw); found != digest_in_zone) {
    return Error(operation + ": its digest is " + found.to_text());
  }
  const auto held = verify_ssh_signature(signature, owner, kSnapshotNamespace,
                                         as_bytes(digest_in_zone.to_text()));
  if (!held.ok()) return held.error().in(operation);

  VerifiedManifest verified;
  verified.digest_ = digest_in_zone;
  auto parsed = parse_manifest(raw);
  if (!parsed.ok()) return parsed.error().in(operation);
  verified.manifest_ = std::move(*parsed);
  const Manifest& manifest = verified.manifest_;
  if (manifest.artifact_type != media_type::snapshot) {
    return Error(operation + ": it is no snapshot but " + manifest.artifact_type);
  }
  if (manifest.config.media_type != media_type::snapshot_config ||
      manifest.config.size_bytes > kLargestSnapshotConfigBytes) {
    return Error(operation + ": its config is not one of a snapshot");
  }
  auto layers = read_snapshot_layers(manifest);
  if (!layers.ok()) return layers.error().in(operation);
  verified.layers_ = std::move(*layers);
  // At most 64 + 8 sizes of at most 2^36 each: no overflow.
  std::uint64_t total = 0;
  for (const Descriptor& blob : verified.blobs()) total += blob.size_bytes;
  for (const MemoryLayer& layer : verified.layers_.memory) total += layer.content_bytes;
  if (total > limit_bytes) {
    return errorf("%s: its %llu bytes are more than the allowed %llu", operation.c_str(),
                  static_cast<unsigned long long>(total),
                  static_cast<unsigned long long>(limit_bytes));
  }
  return verified;
}

Result<SnapshotConfig> verify_config(const VerifiedManifest& manifest, BytesView raw,
                                     std::string_view service) {
  const std::string operation = "config of " + manifest.digest().to_text();
  if (trust::sha256(raw) != manifest.manifest().config.digest) {
    return Error(operation + ": another digest");
  }
  auto config = parse_snapshot_config(raw);
  if (!config.ok()) return config.error().in(operation);
  // A manifest of one service must not be passed off as another's of the same owner.
  if (config->service != service) {
    return Error(operation + ": it is of " + config->service + ", not of " + std::string(service));
  }
  if (config->bases != manifest.base_labels()) {
    return Error(operation + ": its bases are not the manifest's kernel and disk");
  }
  if (config->address.empty() != manifest.layers().memory.empty()) {
    return Error(operation + ": a machine's memory and its address come together");
  }
  return config;
}

Manifest signature_manifest(const Descriptor& subject, BytesView armored) {
  Manifest manifest;
  manifest.artifact_type = media_type::signature;
  manifest.config = {std::string(media_type::empty), trust::sha256(as_bytes("{}")), 2, {}};
  manifest.layers.push_back(
      {std::string(media_type::ssh_signature), trust::sha256(armored), armored.size(), {}});
  manifest.subject = subject;
  return manifest;
}

}  // namespace mutua::peer
