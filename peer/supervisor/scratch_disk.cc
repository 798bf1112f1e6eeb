#include "peer/supervisor/scratch_disk.h"

#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "peer/snapshot/disk_delta.h"
#include "peer/vm/uml/cow.h"

namespace mutua::peer {
namespace {

void remove_others(const std::filesystem::path& folder, const std::string& kept) {
  std::error_code problem;
  for (std::filesystem::directory_iterator file(folder, problem), end; !problem && file != end;
       file.increment(problem)) {
    const std::string name = file->path().filename().string();
    if ((name.ends_with(".cow") || name.ends_with(".new")) && name != kept) {
      ::unlink(file->path().c_str());
    }
  }
}

Result<void> build(const BlobStore& store, const LocalSnapshot& snapshot,
                   const std::filesystem::path& path) {
  const Descriptor& base = snapshot.manifest.base_disk();
  auto cow = TRY(vm::uml::CowFile::create(path, store.path_of(base.digest)));
  const auto delta = TRY(store.open_blob(snapshot.manifest.disk_delta().digest));
  const auto blocks = read_disk_delta(
      delta_from_file(delta.fd.get()), base.digest, base.size_bytes,
      [&](std::uint32_t index, std::span<const std::uint8_t, kDeltaBlockBytes> content) {
        return cow.write_block(index, content);
      });
  if (!blocks.ok()) return blocks.error();
  return cow.commit();
}

}  // namespace

Result<std::filesystem::path> prepare_scratch_disk(const BlobStore& store,
                                                   const LocalSnapshot& snapshot,
                                                   const std::filesystem::path& folder) {
  const std::string name = snapshot.manifest.digest().hex() + ".cow";
  remove_others(folder, name);
  const auto path = folder / name;
  if (::access(path.c_str(), F_OK) == 0) return path;
  const auto unfinished = folder / "scratch.new";
  auto built = build(store, snapshot, unfinished);
  if (!built.ok()) {
    ::unlink(unfinished.c_str());
    return built.error().in("scratch disk of " + snapshot.config.service);
  }
  if (::rename(unfinished.c_str(), path.c_str()) != 0) {
    return errno_error(errno, "rename to " + path.string());
  }
  return path;
}

void discard_scratch_disk(const std::filesystem::path& scratch) { ::unlink(scratch.c_str()); }

}  // namespace mutua::peer
