#include "peer/vm/jail/console_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace mutua::vm {
namespace {

UniqueFd open_for_appending(const std::filesystem::path& path, int more_flags) {
  return UniqueFd(::open(
      path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | more_flags, 0600));
}

}  // namespace

Result<ConsoleLog> ConsoleLog::open(const std::filesystem::path& path) {
  UniqueFd file = open_for_appending(path, 0);
  if (!file) return errno_error(errno, "open " + path.string());
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return errno_error(errno, "stat " + path.string());
  return ConsoleLog(path, std::move(file), static_cast<std::uint64_t>(status.st_size));
}

void ConsoleLog::append(BytesView output) {
  while (!output.empty()) {
    if (bytes_ >= kLargestConsoleBytes) rotate();
    const std::size_t room =
        bytes_ < kLargestConsoleBytes ? static_cast<std::size_t>(kLargestConsoleBytes - bytes_) : 0;
    const BytesView part = output.first(std::min(room, output.size()));
    if (part.empty()) return;
    const ssize_t written = ::write(file_.get(), part.data(), part.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    bytes_ += static_cast<std::uint64_t>(written);
    output = output.subspan(static_cast<std::size_t>(written));
  }
}

void ConsoleLog::rotate() {
  if (::rename(path_.c_str(), (path_.string() + ".1").c_str()) != 0) return;
  UniqueFd file = open_for_appending(path_, O_TRUNC);
  if (!file) return;
  file_ = std::move(file);
  bytes_ = 0;
}

}  // namespace mutua::vm
