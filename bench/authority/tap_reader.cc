// A reader of dnstap that costs as little as may be: it takes Frame Streams at a unix socket, counts
// the frames and forgets them. Each line on standard input is answered with the count so far.
//
//   frame:         u32 length, octets           (length > 0; all numbers big-endian)
//   control frame: u32 0, u32 length, u32 type  and fields that do not matter here

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace mutua {
namespace {

constexpr std::uint32_t kAccept = 1, kStop = 3, kReady = 4, kFinish = 5;
constexpr std::uint32_t kContentType = 1;
constexpr std::string_view kContent = "protobuf:dnstap.Dnstap";
constexpr std::size_t kLargestFrame = 1 << 17;

Bytes control_frame(std::uint32_t type, bool with_content) {
  Bytes payload;
  append_u32(payload, type);
  if (with_content) {
    append_u32(payload, kContentType);
    append_u32(payload, kContent.size());
    append(payload, as_bytes(kContent));
  }
  Bytes frame;
  append_u32(frame, 0);
  append_u32(frame, static_cast<std::uint32_t>(payload.size()));
  append(frame, payload);
  return frame;
}

// One writer's connection.
class Stream {
 public:
  explicit Stream(UniqueFd fd) : fd_(std::move(fd)), octets_(std::size_t{4} << 20) {}

  int fd() const { return fd_.get(); }

  // Takes what is there. False where the writer is gone or says what is no Frame Stream.
  bool take(std::uint64_t& frames) {
    const ssize_t got =
        ::recv(fd_.get(), octets_.data() + filled_, octets_.size() - filled_, MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) return false;
    filled_ += static_cast<std::size_t>(got);
    std::size_t at = 0;
    while (const auto size = whole_frame(at)) {
      if (load_u32(octets_.data() + at) != 0)
        ++frames;
      else if (!control(load_u32(octets_.data() + at + 8)))
        return false;
      at += *size;
    }
    filled_ -= at;
    std::memmove(octets_.data(), octets_.data() + at, filled_);
    return filled_ < kLargestFrame;
  }

 private:
  // The octets of the frame that begins there, where it is whole.
  std::optional<std::size_t> whole_frame(std::size_t at) const {
    const std::size_t left = filled_ - at;
    if (left < 4) return std::nullopt;
    std::size_t size = 4 + load_u32(octets_.data() + at);
    if (size == 4) {
      if (left < 12) return std::nullopt;
      size = std::max<std::size_t>(12, 8 + load_u32(octets_.data() + at + 4));
    }
    return left >= size ? std::optional(size) : std::nullopt;
  }

  bool control(std::uint32_t type) {
    if (type != kReady && type != kStop) return true;
    const Bytes answer =
        type == kReady ? control_frame(kAccept, true) : control_frame(kFinish, false);
    return ::send(fd_.get(), answer.data(), answer.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(answer.size());
  }

  UniqueFd fd_;
  Bytes octets_;
  std::size_t filled_ = 0;
};

Result<UniqueFd> listen_at(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return errno_error(errno, "socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return Error(path + ": too long for a socket");
  path.copy(address.sun_path, path.size());
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), 4) != 0)
    return errno_error(errno, "listen at " + path);
  return fd;
}

// Until standard input ends.
Result<void> run(const std::string& path) {
  const UniqueFd listener = TRY(listen_at(path));
  std::puts("listening");
  std::fflush(stdout);
  std::optional<Stream> stream;
  std::uint64_t frames = 0;
  for (;;) {
    pollfd waiting[] = {{STDIN_FILENO, POLLIN, 0},
                        {listener.get(), POLLIN, 0},
                        {stream ? stream->fd() : -1, POLLIN, 0}};
    if (::poll(waiting, std::size(waiting), -1) < 0 && errno != EINTR)
      return errno_error(errno, "poll");
    if (waiting[2].revents != 0 && !stream->take(frames)) stream.reset();
    if (waiting[1].revents != 0)
      if (UniqueFd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)); fd)
        stream.emplace(std::move(fd));
    if (waiting[0].revents == 0) continue;
    char line[64];
    if (::read(STDIN_FILENO, line, sizeof line) <= 0) return {};
    std::printf("%llu\n", static_cast<unsigned long long>(frames));
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace mutua

int main(int argc, char** argv) {
  const auto done = argc == 2 ? mutua::run(argv[1])
                              : mutua::Result<void>(mutua::Error("usage: bench_tap_reader PATH"));
  if (done.ok()) return 0;
  std::fprintf(stderr, "bench_tap_reader: %s\n", done.error().message().c_str());
  return 1;
}
