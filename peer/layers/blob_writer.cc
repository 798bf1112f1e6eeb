#include "peer/layers/blob_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace mutua::peer {
namespace {

constexpr std::size_t kChunkBytes = 256 * 1024;

Result<void> sync_folder(const std::filesystem::path& folder) {
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return errno_error(errno, "fsync " + folder.string());
  return {};
}

// A locked file under the name `path`. The writer before us may have given the file that we opened
// its final name meanwhile: that one must not be touched, so the name is looked at again.
Result<UniqueFd> open_locked(const std::filesystem::path& path) {
  for (;;) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return errno_error(errno, "open " + path.string());
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0)
      return Error(path.string() + " is being written");
    struct stat opened {
    }, named{};
    if (::fstat(fd.get(), &opened) != 0) return errno_error(errno, "stat " + path.string());
    const bool is_there = ::stat(path.c_str(), &named) == 0;
    if (is_there && opened.st_ino == named.st_ino && opened.st_dev == named.st_dev) return fd;
  }
}

}  // namespace

Result<BlobWriter> BlobWriter::open(const std::filesystem::path& partial,
                                    const std::filesystem::path& destination,
                                    const trust::Digest& digest, std::uint64_t size_bytes) {
  UniqueFd fd = TRY(open_locked(partial));
  BlobWriter writer(std::move(fd), partial, destination, digest, size_bytes);
  TRY(writer.hash_existing());
  return writer;
}

// A partial file that is too long, or that a crash left with wrong bytes, costs one more fetch:
// finish() notices and empties it.
Result<void> BlobWriter::hash_existing() {
  Bytes chunk(kChunkBytes);
  for (;;) {
    const ssize_t count =
        ::pread(fd_.get(), chunk.data(), chunk.size(), static_cast<off_t>(offset_));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error(errno, "read " + partial_.string());
    if (count == 0) return {};
    offset_ += static_cast<std::uint64_t>(count);
    if (offset_ > size_bytes_) return restart();
    hash_.update({chunk.data(), static_cast<std::size_t>(count)});
  }
}

Result<void> BlobWriter::write(BytesView bytes) {
  if (bytes.size() > size_bytes_ - offset_) {
    return errorf("blob %s is longer than its %llu bytes", digest_.to_text().c_str(),
                  static_cast<unsigned long long>(size_bytes_));
  }
  while (!bytes.empty()) {
    const ssize_t count =
        ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset_));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error(errno, "write " + partial_.string());
    const auto written = static_cast<std::size_t>(count);
    hash_.update(bytes.first(written));
    offset_ += written;
    bytes = bytes.subspan(written);
  }
  return {};
}

Result<void> BlobWriter::restart() {
  if (::ftruncate(fd_.get(), 0) != 0) return errno_error(errno, "truncate " + partial_.string());
  offset_ = 0;
  hash_ = trust::Sha256();
  return {};
}

Result<void> BlobWriter::finish() {
  if (offset_ != size_bytes_) {
    return errorf("blob %s ended after %llu of %llu bytes", digest_.to_text().c_str(),
                  static_cast<unsigned long long>(offset_),
                  static_cast<unsigned long long>(size_bytes_));
  }
  trust::Sha256 hash;
  std::swap(hash, hash_);
  if (const trust::Digest found = hash.finish(); found != digest_) {
    TRY(restart());
    return Error("blob " + digest_.to_text() + " has another digest: " + found.to_text());
  }
  // Content before name: a crash between the two leaves a whole partial file, which resumes.
  if (::fchmod(fd_.get(), 0444) != 0 || ::fsync(fd_.get()) != 0) {
    return errno_error(errno, "fsync " + partial_.string());
  }
  if (::rename(partial_.c_str(), destination_.c_str()) != 0) {
    return errno_error(errno, "rename to " + destination_.string());
  }
  fd_.reset();
  return sync_folder(destination_.parent_path());
}

}  // namespace mutua::peer
