#include "peer/scrapbook/capture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <optional>

#include "peer/scrapbook/open_pages.h"
#include "peer/scrapbook/restore.h"
#include "peer/snapshot/disk_delta.h"
#include "peer/snapshot/memory_delta.h"
#include "peer/vm/uml/cow.h"
#include "peer/vm/uml/snapshot_file.h"

namespace mutua::peer {
namespace {

// Removed when it goes out of scope. Names are unique within the process.
class TemporaryFile {
 public:
  TemporaryFile(const std::filesystem::path& folder, const char* kind)
      : path_(folder / (std::string(".") + kind + "-" + std::to_string(::getpid()) + "-" +
                        std::to_string(next_.fetch_add(1)))) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { ::unlink(path_.c_str()); }
  const std::filesystem::path& path() const { return path_; }

 private:
  static inline std::atomic<unsigned> next_ = 0;
  std::filesystem::path path_;
};

Result<Descriptor> store_layer(const BlobStore& store, std::string_view type,
                               const std::filesystem::path& file) {
  const trust::Digest digest = TRY(store.put_file(file, kLargestBlobBytes));
  return Descriptor{std::string(type), digest, TRY(store.size(digest)), {}};
}

Result<Descriptor> store_disk_delta(const BlobStore& store, const Descriptor& base,
                                    const std::vector<std::uint64_t>& blocks,
                                    const BlockReader& read, const std::filesystem::path& work) {
  const TemporaryFile file(work, "disk");
  TRY(write_disk_delta(read, base.size_bytes / kDeltaBlockBytes, base.digest, blocks, file.path()));
  Descriptor delta = TRY(store_layer(store, media_type::disk_delta, file.path()));
  delta.annotations["vnd.mutua.base.digest"] = base.digest.to_text();
  return delta;
}

Result<Descriptor> store_image_delta(const BlobStore& store, const Descriptor& base,
                                     const ImageFiles& files, const std::filesystem::path& work,
                                     const StepReport& report) {
  const auto blocks = TRY(vm::uml::compare(files.base_disk, files.disk));
  report("the disk differs from its base in " + std::to_string(blocks.size()) + " blocks of 4 KiB");
  const UniqueFd disk(::open(files.disk.c_str(), O_RDONLY | O_CLOEXEC));
  if (!disk) return errno_error(errno, "open " + files.disk.string());
  const BlockReader read = [&](std::uint64_t block,
                               std::span<std::uint8_t, kDeltaBlockBytes> into) -> Result<void> {
    const ssize_t count =
        ::pread(disk.get(), into.data(), into.size(), static_cast<off_t>(block * kDeltaBlockBytes));
    if (count == static_cast<ssize_t>(into.size())) return {};
    return errno_error(count < 0 ? errno : EIO, "read " + files.disk.string());
  };
  return store_disk_delta(store, base, blocks, read, work);
}

Result<Descriptor> store_cow_delta(const BlobStore& store, const Descriptor& base,
                                   const std::filesystem::path& disk,
                                   const std::filesystem::path& work) {
  const auto cow = TRY(vm::uml::CowFile::open(disk));
  const auto blocks = TRY(vm::uml::compare(store.path_of(base.digest), cow));
  const auto base_file = TRY(store.open_blob(base.digest));
  const BlockReader read = [&](std::uint64_t block,
                               std::span<std::uint8_t, kDeltaBlockBytes> into) -> Result<void> {
    const vm::uml::Block content = TRY(cow.read_block(block, base_file.fd.get()));
    std::ranges::copy(content, into.begin());
    return {};
  };
  return store_disk_delta(store, base, blocks, read, work);
}

// Pages of the same address; header and run table by their place in the file.
std::optional<std::uint32_t> counterpart_of(std::uint32_t page, const vm::uml::SnapshotFile& memory,
                                            const vm::uml::SnapshotFile& parent) {
  const auto contents_of = [](const vm::uml::SnapshotFile& file) {
    return file.header().contents / kMemoryPageBytes;
  };
  const std::uint64_t contents = contents_of(memory), parent_contents = contents_of(parent);
  if (page < contents) {
    return page < parent_contents ? std::optional(page) : std::nullopt;
  }
  const auto index = parent.index_of(memory.address_of(page - contents));
  if (!index) return std::nullopt;
  return static_cast<std::uint32_t>(parent_contents + *index);
}

// User-Mode Linux's memory files are lists of runs; others begin with the guest's address 0.
Result<Counterpart> counterparts(const BlobStore& store, const std::string& engine,
                                 const trust::Digest& content, const trust::Digest& parent) {
  if (engine != "uml") return Counterpart([](std::uint32_t page) { return std::optional(page); });
  auto memory = std::make_shared<vm::uml::SnapshotFile>(
      TRY(vm::uml::SnapshotFile::open(store.path_of(content))));
  auto former = std::make_shared<vm::uml::SnapshotFile>(
      TRY(vm::uml::SnapshotFile::open(store.path_of(parent))));
  return Counterpart([memory = std::move(memory), former = std::move(former)](std::uint32_t page) {
    return counterpart_of(page, *memory, *former);
  });
}

// The layer of a memory whose content, and whose parent's content, the store holds.
Result<MemoryLayer> store_memory_layer(const BlobStore& store, const std::string& engine,
                                       const Descriptor& base_disk, const trust::Digest& content,
                                       const std::optional<trust::Digest>& parent,
                                       const std::filesystem::path& work,
                                       const StepReport& report) {
  const OpenPages memory = TRY(open_pages(store, content));
  const OpenPages disk = TRY(open_pages(store, base_disk.digest));
  std::optional<OpenPages> former;
  Counterpart counterpart;
  if (parent) {
    former = TRY(open_pages(store, *parent));
    counterpart = TRY(counterparts(store, engine, content, *parent));
  }
  const TemporaryFile file(work, "memory");
  const auto size =
      TRY(write_memory_delta(memory.file, former ? std::optional(former->file) : std::nullopt,
                             disk.file, counterpart, file.path()));
  const Descriptor blob = TRY(store_layer(store, media_type::memory, file.path()));
  report("of " + std::to_string(memory.file.pages) + " pages of memory " +
         std::to_string(size.as_parent) + " are the parent's, " + std::to_string(size.as_disk) +
         " the base disk's, " + std::to_string(size.own) +
         " its own: " + std::to_string(blob.size_bytes / 1024) + " KiB");
  return make_memory_layer(blob.digest, blob.size_bytes, content, memory.blob.size_bytes, parent);
}

void ignore_report(const std::string&) {}

}  // namespace

Result<Descriptor> store_kernel(const BlobStore& store, const std::filesystem::path& file) {
  return store_layer(store, media_type::kernel, file);
}

Result<Descriptor> store_base_disk(const BlobStore& store, const std::filesystem::path& file) {
  return store_layer(store, media_type::base_disk, file);
}

Result<SnapshotLayers> capture_image(const BlobStore& store, const ImageFiles& files,
                                     const std::filesystem::path& work, const StepReport& report) {
  report("storing the kernel and the base disk");
  SnapshotLayers layers;
  layers.kernel = TRY(store_kernel(store, files.kernel));
  layers.base_disk = TRY(store_base_disk(store, files.base_disk));
  layers.disk_delta = TRY(store_image_delta(store, layers.base_disk, files, work, report));
  return layers;
}

Result<SnapshotLayers> capture_machine(const BlobStore& store, const TakenFiles& files,
                                       const std::filesystem::path& work,
                                       const StepReport& report) {
  SnapshotLayers layers = files.origin;
  layers.disk_delta = TRY(store_cow_delta(store, layers.base_disk, files.disk, work));
  report("the disk's delta has " + std::to_string(layers.disk_delta.size_bytes / 1024) + " KiB");
  const trust::Digest content = TRY(store.put_file(files.memory, kLargestBlobBytes));
  if (layers.memory.size() == kMostMemoryLayers) layers.memory.resize(1);
  if (!layers.memory.empty()) TRY(restore_memory(store, layers));
  const auto parent =
      layers.memory.empty() ? std::nullopt : std::optional(layers.memory.back().content);
  layers.memory.push_back(TRY(
      store_memory_layer(store, files.engine, layers.base_disk, content, parent, work, report)));
  return layers;
}

Result<SnapshotLayers> flatten_memory(const BlobStore& store, const std::string& engine,
                                      const SnapshotLayers& layers,
                                      const std::filesystem::path& work) {
  TRY(restore_memory(store, layers));
  SnapshotLayers flat = layers;
  flat.memory = {
      TRY(store_memory_layer(store, engine, layers.base_disk, layers.memory.back().content,
                             std::nullopt, work, ignore_report))};
  return flat;
}

Result<SnapshotLayers> rebase_memory(const BlobStore& store, const std::string& engine,
                                     const SnapshotLayers& layers, const SnapshotLayers& parent,
                                     const std::filesystem::path& work) {
  if (parent.memory.empty() || parent.kernel.digest != layers.kernel.digest ||
      parent.base_disk.digest != layers.base_disk.digest) {
    return Error("the two snapshots have not the same kernel and base disk");
  }
  if (parent.memory.size() >= kMostMemoryLayers) {
    return errorf("it would be more than %zu deltas deep; expand one of those below first",
                  kMostMemoryLayers);
  }
  TRY(restore_memory(store, layers));
  TRY(restore_memory(store, parent));
  SnapshotLayers rebased = layers;
  rebased.memory = parent.memory;
  rebased.memory.push_back(
      TRY(store_memory_layer(store, engine, layers.base_disk, layers.memory.back().content,
                             parent.memory.back().content, work, ignore_report)));
  return rebased;
}

}  // namespace mutua::peer
