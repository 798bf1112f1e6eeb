#include "peer/snapshot/snapshot_layers.h"

#include <charconv>

namespace mutua::peer {
namespace {

constexpr std::uint64_t kPageBytes = 4096;

Result<std::string> annotation_of(const Descriptor& layer, const char* name) {
  const auto found = layer.annotations.find(name);
  if (found == layer.annotations.end()) return Error(std::string("no annotation ") + name);
  return found->second;
}

Result<MemoryLayer> read_memory_layer(const Descriptor& blob) {
  MemoryLayer layer{blob, {}, 0, {}};
  const std::string content = TRY(annotation_of(blob, annotation::content_digest));
  layer.content = TRY(trust::Digest::parse(content));
  const std::string size = TRY(annotation_of(blob, annotation::content_size));
  const auto [end, failure] =
      std::from_chars(size.data(), size.data() + size.size(), layer.content_bytes);
  if (failure != std::errc{} || end != size.data() + size.size() || layer.content_bytes == 0 ||
      layer.content_bytes > kLargestBlobBytes || layer.content_bytes % kPageBytes != 0) {
    return Error("not the size of a memory: " + size);
  }
  if (const auto parent = blob.annotations.find(annotation::parent_digest);
      parent != blob.annotations.end()) {
    layer.parent = TRY(trust::Digest::parse(parent->second));
  }
  return layer;
}

Result<std::vector<MemoryLayer>> read_memory_layers(const Manifest& manifest) {
  std::vector<MemoryLayer> layers;
  for (const Descriptor& blob : manifest.layers_of(media_type::memory)) {
    auto layer = read_memory_layer(blob);
    if (!layer.ok()) return layer.error().in("memory layer " + blob.digest.to_text());
    const auto expected =
        layers.empty() ? std::nullopt : std::optional<trust::Digest>(layers.back().content);
    if (layer->parent != expected) {
      return Error("memory layer " + blob.digest.to_text() + ": it stands on another one");
    }
    layers.push_back(std::move(*layer));
  }
  if (layers.size() > kMostMemoryLayers) {
    return errorf("%zu memory layers are more than the allowed %zu", layers.size(),
                  kMostMemoryLayers);
  }
  return layers;
}

}  // namespace

std::vector<Descriptor> SnapshotLayers::descriptors() const {
  std::vector<Descriptor> descriptors{kernel, base_disk};
  for (const MemoryLayer& layer : memory) descriptors.push_back(layer.blob);
  descriptors.push_back(disk_delta);
  return descriptors;
}

Result<SnapshotLayers> read_snapshot_layers(const Manifest& manifest) {
  SnapshotLayers layers;
  layers.kernel = TRY(manifest.only_layer(media_type::kernel));
  layers.base_disk = TRY(manifest.only_layer(media_type::base_disk));
  layers.disk_delta = TRY(manifest.only_layer(media_type::disk_delta));
  layers.memory = TRY(read_memory_layers(manifest));
  return layers;
}

MemoryLayer make_memory_layer(const trust::Digest& blob, std::uint64_t blob_bytes,
                              const trust::Digest& content, std::uint64_t content_bytes,
                              const std::optional<trust::Digest>& parent) {
  Descriptor descriptor{std::string(media_type::memory), blob, blob_bytes, {}};
  descriptor.annotations[annotation::content_digest] = content.to_text();
  descriptor.annotations[annotation::content_size] = std::to_string(content_bytes);
  if (parent) descriptor.annotations[annotation::parent_digest] = parent->to_text();
  return {std::move(descriptor), content, content_bytes, parent};
}

std::set<trust::Digest> digests_of(const SnapshotLayers& layers) {
  std::set<trust::Digest> digests;
  for (const Descriptor& layer : layers.descriptors()) digests.insert(layer.digest);
  if (!layers.memory.empty()) {
    digests.insert(layers.memory.front().content);
    digests.insert(layers.memory.back().content);
  }
  return digests;
}

}  // namespace mutua::peer
