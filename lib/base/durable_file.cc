#include "base/durable_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/unique_fd.h"

namespace mutua {
namespace {

Result<void> write_all(int fd, BytesView content, const std::string& operation) {
  while (!content.empty()) {
    const ssize_t count = ::write(fd, content.data(), content.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error(errno, operation);
    content = content.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Result<void> sync_folder(const std::filesystem::path& folder) {
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return errno_error(errno, "open " + folder.string());
  if (::fsync(fd.get()) != 0) return errno_error(errno, "fsync " + folder.string());
  return {};
}

}  // namespace

Result<Bytes> read_file(const std::filesystem::path& path, std::size_t limit_bytes) {
  const std::string operation = "read " + path.string();
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno_error(errno, operation);
  Bytes content;
  Bytes chunk(64 * 1024);
  for (;;) {
    const ssize_t count = ::read(fd.get(), chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error(errno, operation);
    if (count == 0) return content;
    if (content.size() + static_cast<std::size_t>(count) > limit_bytes) {
      return errorf("%s: larger than %zu bytes", operation.c_str(), limit_bytes);
    }
    append(content, {chunk.data(), static_cast<std::size_t>(count)});
  }
}

Result<void> write_file_durably(const std::filesystem::path& path, BytesView content, mode_t mode) {
  const std::string operation = "write " + path.string();
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  std::string temporary = (folder / ("." + path.filename().string() + ".XXXXXX")).string();
  const UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) return errno_error(errno, operation);
  auto written = write_all(fd.get(), content, operation);
  if (written.ok() && ::fchmod(fd.get(), mode) != 0) written = errno_error(errno, operation);
  if (written.ok() && ::fsync(fd.get()) != 0) written = errno_error(errno, operation);
  if (written.ok() && ::rename(temporary.c_str(), path.c_str()) != 0) {
    written = errno_error(errno, operation);
  }
  if (!written.ok()) {
    ::unlink(temporary.c_str());
    return written;
  }
  return sync_folder(folder);
}

}  // namespace mutua
