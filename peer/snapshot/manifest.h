#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "trust/digest.h"

namespace mutua::peer {

namespace media_type {
constexpr std::string_view image_manifest = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view image_index = "application/vnd.oci.image.index.v1+json";
constexpr std::string_view empty = "application/vnd.oci.empty.v1+json";
// artifactType of a snapshot and of a signature over one.
constexpr std::string_view snapshot = "application/vnd.mutua.snapshot.v1";
constexpr std::string_view signature = "application/vnd.mutua.signature.v1";
// Blobs. Kernel and base disk are raw, so that a layer's digest is the one that the zone's list of
// trusted bases names.
constexpr std::string_view snapshot_config = "application/vnd.mutua.snapshot.config.v1+json";
constexpr std::string_view kernel = "application/vnd.mutua.kernel.v1";
constexpr std::string_view base_disk = "application/vnd.mutua.disk.v1";
constexpr std::string_view disk_delta = "application/vnd.mutua.disk.delta.v1+zstd";
constexpr std::string_view memory = "application/vnd.mutua.memory.v1+zstd";
constexpr std::string_view ssh_signature = "application/vnd.mutua.signature.v1+sshsig";
}  // namespace media_type

// Annotations of a memory layer: what it expands to, and the memory that it stands on.
namespace annotation {
constexpr const char* content_digest = "vnd.mutua.content.digest";
constexpr const char* content_size = "vnd.mutua.content.size";
constexpr const char* parent_digest = "vnd.mutua.parent.digest";
}  // namespace annotation

constexpr std::size_t kLargestManifestBytes = 256 * 1024;
constexpr std::size_t kMostLayers = 64;
constexpr std::uint64_t kLargestBlobBytes = 64ULL << 30;

// An OCI content descriptor.
struct Descriptor {
  std::string media_type;
  trust::Digest digest;
  std::uint64_t size_bytes = 0;
  std::map<std::string, std::string> annotations;

  bool operator==(const Descriptor&) const = default;
};

// An OCI image manifest (image-spec 1.1): of a snapshot, or of a signature over one, which names
// it as its subject. A value that nobody has vouched for: see verified_manifest.h.
struct Manifest {
  std::string artifact_type;
  Descriptor config;
  std::vector<Descriptor> layers;
  std::optional<Descriptor> subject;
  std::map<std::string, std::string> annotations;

  // The only layer of this media type; fails where there is none, or more than one.
  Result<Descriptor> only_layer(std::string_view media_type) const;
  // All layers of this media type, in their order.
  std::vector<Descriptor> layers_of(std::string_view media_type) const;

  bool operator==(const Manifest&) const = default;
};

// Strict in what it uses: the types of all fields, digests, sizes up to kLargestBlobBytes, at most
// kMostLayers layers. Other fields are ignored, as OCI demands. Never throws.
Result<Manifest> parse_manifest(BytesView json);

// Canonical: one byte sequence for one Manifest, so that publishing again gives the same digest.
Bytes print_manifest(const Manifest& manifest);

// An OCI image index of descriptors with their artifact types: the answer to "referrers".
struct Referrer {
  Descriptor manifest;
  std::string artifact_type;
};
Bytes print_referrers(const std::vector<Referrer>& referrers);
Result<std::vector<Referrer>> parse_referrers(BytesView json);

}  // namespace mutua::peer
