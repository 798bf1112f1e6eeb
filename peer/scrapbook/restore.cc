#include "peer/scrapbook/restore.h"

#include <unistd.h>

#include <cerrno>
#include <optional>

#include "base/assert.h"
#include "peer/scrapbook/open_pages.h"
#include "peer/snapshot/disk_delta.h"
#include "peer/snapshot/memory_delta.h"
#include "peer/vm/uml/cow.h"

namespace mutua::peer {
namespace {

constexpr std::chrono::minutes kExpandPatience{2};  // for another machine's restore of the same

Result<void> build_disk(const BlobStore& store, const SnapshotLayers& layers,
                        const std::filesystem::path& path) {
  const Descriptor& base = layers.base_disk;
  auto cow = TRY(vm::uml::CowFile::create(path, store.path_of(base.digest)));
  const auto delta = TRY(store.open_blob(layers.disk_delta.digest));
  const auto blocks = read_disk_delta(
      frame_from_file(delta.fd.get()), base.digest, base.size_bytes,
      [&](std::uint32_t index, std::span<const std::uint8_t, kDeltaBlockBytes> content) {
        return cow.write_block(index, content);
      });
  if (!blocks.ok()) return blocks.error();
  return cow.commit();
}

Result<void> expand(const BlobStore& store, const MemoryLayer& layer, const PageFile& base_disk,
                    std::stop_token stop) {
  auto writer =
      TRY(store.begin_unless_held(layer.content, layer.content_bytes, kExpandPatience, stop));
  if (!writer) return {};
  TRY(writer->restart());
  std::optional<OpenPages> parent;
  if (layer.parent) parent = TRY(open_pages(store, *layer.parent));
  const auto blob = TRY(store.open_blob(layer.blob.digest));
  const auto parent_file = parent ? std::optional(parent->file) : std::nullopt;
  TRY(read_memory_delta(frame_from_file(blob.fd.get()), parent_file, base_disk, layer.content,
                        layer.content_bytes, [&](BytesView pages) -> Result<void> {
                          if (stop.stop_requested()) return Error("stopped");
                          return writer->write(pages);
                        }));
  return writer->finish();
}

}  // namespace

Result<void> restore_disk(const BlobStore& store, const SnapshotLayers& layers,
                          const std::filesystem::path& path) {
  auto unfinished = path;
  unfinished += ".new";
  ::unlink(unfinished.c_str());
  if (auto built = build_disk(store, layers, unfinished); !built.ok()) {
    ::unlink(unfinished.c_str());
    return built.error().in("disk " + path.string());
  }
  if (::rename(unfinished.c_str(), path.c_str()) != 0) {
    return errno_error(errno, "rename to " + path.string());
  }
  return {};
}

Result<std::filesystem::path> restore_memory(const BlobStore& store, const SnapshotLayers& layers,
                                             std::stop_token stop) {
  BASE_ASSERT(!layers.memory.empty());
  // The longest part of the chain that is expanded already is where the work begins.
  std::size_t first = layers.memory.size();
  while (first > 0 && !store.has(layers.memory[first - 1].content)) --first;
  if (first < layers.memory.size()) {
    const OpenPages disk = TRY(open_pages(store, layers.base_disk.digest));
    for (std::size_t i = first; i < layers.memory.size(); ++i) {
      auto expanded = expand(store, layers.memory[i], disk.file, stop);
      if (!expanded.ok()) {
        return expanded.error().in("expand " + layers.memory[i].blob.digest.to_text());
      }
    }
  }
  return store.path_of(layers.memory.back().content);
}

}  // namespace mutua::peer
