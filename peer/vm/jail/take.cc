#include "peer/vm/jail/take.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/log.h"
#include "peer/vm/spec_text.h"

namespace mutua::vm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMemoryName = "memory";
constexpr const char* kDiskName = "disk";
// The memory under its temporary name or its own, the disk, and one to spare.
constexpr int kMostFiles = 4;

Result<UniqueFd> open_folder(const fs::path& path) {
  UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return errno_error(errno, "open " + path.string());
  return folder;
}

Result<dev_t> file_system_of(const fs::path& folder) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0) return errno_error(errno, "stat " + folder.string());
  return status.st_dev;
}

Result<void> check_absent(const fs::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) return errorf("%s exists", path.c_str());
  return {};
}

// Moves a file that the jail made. It could be anything that a file system knows, and while
// the jail has the folder open it could change under our hands: what has been looked at is what
// must have arrived.
Result<void> move_file(const fs::path& from, const fs::path& to, mode_t mode) {
  const UniqueFd file(::open(from.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat made {};
  if (!file || ::fstat(file.get(), &made) != 0) return errno_error(errno, "open " + from.string());
  if (!S_ISREG(made.st_mode) || made.st_nlink != 1) {
    return errorf("%s is not a plain file", from.c_str());
  }
  if (::fchown(file.get(), ::geteuid(), ::getegid()) != 0 || ::fchmod(file.get(), mode) != 0 ||
      ::fsync(file.get()) != 0) {
    return errno_error(errno, "keep " + from.string());
  }
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) != 0) {
    return errno_error(errno, "rename to " + to.string());
  }
  struct stat moved {};
  if (::lstat(to.c_str(), &moved) != 0 || moved.st_dev != made.st_dev ||
      moved.st_ino != made.st_ino) {
    ::unlink(to.c_str());
    return errorf("%s changed while it was moved", from.c_str());
  }
  return {};
}

Result<void> keep_name(const fs::path& path) {
  const UniqueFd folder = TRY(open_folder(path.parent_path()));
  if (::fsync(folder.get()) != 0) return errno_error(errno, "fsync " + path.parent_path().string());
  return {};
}

}  // namespace

Result<Take> Take::begin(const SnapshotRequest& request, const JailUser& user,
                         const JailDoor& door) {
  TRY(check_absent(request.memory_file));
  TRY(check_absent(request.disk_copy));
  if (TRY(file_system_of(request.memory_file.parent_path())) !=
      TRY(file_system_of(request.disk_copy.parent_path()))) {
    return errorf("%s and %s are on different file systems", request.memory_file.c_str(),
                  request.disk_copy.c_str());
  }
  const fs::path folder = taking_folder(request);
  std::error_code failure;
  fs::remove_all(folder, failure);
  if (::mkdir(folder.c_str(), 0700) != 0) return errno_error(errno, "make " + folder.string());
  Take take(request, door);
  if (!user.in_user_namespace && ::chown(folder.c_str(), user.uid, user.uid) != 0) {
    return errno_error(errno, "give " + folder.string() + " to the jail");
  }
  TRY(lend_folder(door, folder, kSnapshotFolder));
  take.lent_ = true;
  return take;
}

Take::Take(Take&& other) noexcept
    : request_(std::move(other.request_)),
      door_(std::exchange(other.door_, nullptr)),
      lent_(other.lent_) {}

Take::~Take() {
  if (!door_) return;
  take_back();
  std::error_code failure;
  fs::remove_all(taking_folder(request_), failure);
  if (failure) {
    log::warning("machine.take_leftover",
                 {{"folder", taking_folder(request_).string()}, {"reason", failure.message()}});
  }
}

void Take::take_back() {
  if (!std::exchange(lent_, false)) return;
  const auto taken = take_folder_back(*door_, kSnapshotFolder);
  if (!taken.ok()) log::warning("machine.take_leftover", {{"reason", taken.error().message()}});
}

bool Take::is_within(std::uint64_t most_bytes) const {
  std::error_code failure;
  int files = 0;
  std::uint64_t bytes = 0;
  for (fs::directory_iterator entry(taking_folder(request_), failure), end;
       !failure && entry != end; entry.increment(failure)) {
    struct stat status {};
    if (++files > kMostFiles || entry->is_directory(failure)) return false;
    // One that is gone meanwhile got its name.
    if (::lstat(entry->path().c_str(), &status) != 0) continue;
    bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
  }
  return bytes <= most_bytes;
}

fs::path Take::memory_file() const { return taking_folder(request_) / kMemoryName; }

Result<void> Take::hand_over() {
  take_back();
  const fs::path folder = taking_folder(request_);
  TRY(move_file(folder / kDiskName, request_.disk_copy, 0600));
  auto memory = move_file(memory_file(), request_.memory_file, 0644);
  if (memory.ok()) memory = keep_name(request_.disk_copy);
  if (memory.ok()) memory = keep_name(request_.memory_file);
  if (!memory.ok()) {
    ::unlink(request_.memory_file.c_str());
    ::unlink(request_.disk_copy.c_str());
  }
  return memory;
}

}  // namespace mutua::vm
