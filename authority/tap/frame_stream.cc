#include "authority/tap/frame_stream.h"

#include <fcntl.h>
#include <fstrm.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/unique_fd.h"

namespace mutua::authority {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::string_view kContent = "protobuf:dnstap.Dnstap";
constexpr milliseconds kPatience(1000);  // for anything that the reader is to take or say
constexpr milliseconds kSlice(50);       // after it a wait looks whether it is to end
constexpr std::size_t kFramesAtOnce = 256;

// The descriptor below fstrm's writer, which calls the functions with it.
class Channel {
 public:
  Channel(FrameStream::Target target, std::filesystem::path path, const std::atomic<bool>& stopping)
      : target_(target), path_(std::move(path)), stopping_(stopping) {}

  bool open() { return target_ == FrameStream::Target::file ? open_file() : connect(); }
  void close() { fd_.reset(); }

  bool read(void* data, std::size_t count) {
    auto* at = static_cast<std::uint8_t*>(data);
    const auto end = steady_clock::now() + kPatience;
    while (count > 0) {
      const ssize_t got = ::read(fd_.get(), at, count);
      if (got > 0) {
        at += got;
        count -= static_cast<std::size_t>(got);
      } else if (got == 0 || !wait(POLLIN, end)) {
        return false;
      }
    }
    return true;
  }

  bool write(const iovec* parts, int count) {
    std::vector<iovec> left(parts, parts + count);
    auto at = left.begin();
    auto end = steady_clock::now() + kPatience;
    while (at != left.end()) {
      const auto most = std::min<std::ptrdiff_t>(left.end() - at, IOV_MAX);
      ssize_t sent = ::writev(fd_.get(), &*at, static_cast<int>(most));
      if (sent < 0 && !wait(POLLOUT, end)) return false;
      if (sent > 0) end = steady_clock::now() + kPatience;
      for (; sent > 0 && static_cast<std::size_t>(sent) >= at->iov_len; ++at)
        sent -= static_cast<ssize_t>(at->iov_len);
      if (sent > 0) {
        at->iov_base = static_cast<std::uint8_t*>(at->iov_base) + sent;
        at->iov_len -= static_cast<std::size_t>(sent);
      }
      while (at != left.end() && at->iov_len == 0) ++at;
    }
    return true;
  }

  int error() const { return error_; }

 private:
  bool fail() {
    error_ = errno;
    return false;
  }

  bool open_file() {
    fd_.reset(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR));
    return fd_ ? true : fail();
  }

  bool connect() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string text = path_.string();
    errno = ENAMETOOLONG;
    if (text.size() >= sizeof address.sun_path) return fail();
    text.copy(address.sun_path, text.size());
    fd_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd_) return fail();
    const auto* to = reinterpret_cast<const sockaddr*>(&address);
    return ::connect(fd_.get(), to, sizeof address) == 0 ? true : fail();
  }

  // After a call that said no: whether to try again.
  bool wait(short what, steady_clock::time_point end) {
    if (errno == EINTR) return true;
    if (errno != EAGAIN) return fail();
    pollfd ready{fd_.get(), what, 0};
    do {
      if (::poll(&ready, 1, static_cast<int>(kSlice.count())) > 0) return true;
    } while (!stopping_.load() && steady_clock::now() < end);
    errno = ETIMEDOUT;
    return fail();
  }

  const FrameStream::Target target_;
  const std::filesystem::path path_;
  const std::atomic<bool>& stopping_;
  UniqueFd fd_;
  int error_ = 0;
};

Channel& channel(void* object) { return *static_cast<Channel*>(object); }
fstrm_res outcome(bool good) { return good ? fstrm_res_success : fstrm_res_failure; }

extern "C" {
static fstrm_res open_channel(void* object) { return outcome(channel(object).open()); }
static fstrm_res close_channel(void* object) {
  channel(object).close();
  return fstrm_res_success;
}
static fstrm_res read_channel(void* object, void* data, std::size_t count) {
  return outcome(channel(object).read(data, count));
}
static fstrm_res write_channel(void* object, const iovec* parts, int count) {
  return outcome(channel(object).write(parts, count));
}
}

class FstrmStream final : public FrameStream {
 public:
  FstrmStream(Target target, const std::filesystem::path& path, const std::atomic<bool>& stopping)
      : channel_(target, path, stopping), path_(path.string()) {
    fstrm_rdwr* calls = fstrm_rdwr_init(&channel_);
    fstrm_rdwr_set_open(calls, open_channel);
    fstrm_rdwr_set_close(calls, close_channel);
    // Where there is something to read from, both sides shake hands.
    if (target == Target::socket) fstrm_rdwr_set_read(calls, read_channel);
    fstrm_rdwr_set_write(calls, write_channel);
    fstrm_writer_options* options = fstrm_writer_options_init();
    fstrm_writer_options_add_content_type(options, kContent.data(), kContent.size());
    writer_ = fstrm_writer_init(options, &calls);
    fstrm_writer_options_destroy(&options);
  }
  ~FstrmStream() override { fstrm_writer_destroy(&writer_); }

  Result<void> open() {
    if (fstrm_writer_open(writer_) == fstrm_res_success) return {};
    return channel_.error() != 0 ? errno_error(channel_.error(), "dnstap to " + path_)
                                 : Error("dnstap to " + path_ + ": no reader of dnstap");
  }

  Result<void> write(std::span<const BytesView> frames) override {
    std::vector<iovec> parts;
    for (const BytesView frame : frames)
      parts.push_back({const_cast<std::uint8_t*>(frame.data()), frame.size()});
    for (std::size_t at = 0; at < parts.size(); at += kFramesAtOnce) {
      const auto count = static_cast<int>(std::min(kFramesAtOnce, parts.size() - at));
      if (fstrm_writer_writev(writer_, &parts[at], count) != fstrm_res_success)
        return errno_error(channel_.error(), "dnstap to " + path_);
    }
    return {};
  }

 private:
  Channel channel_;
  const std::string path_;
  fstrm_writer* writer_ = nullptr;
};

}  // namespace

Result<std::unique_ptr<FrameStream>> FrameStream::open(Target target,
                                                       const std::filesystem::path& path,
                                                       const std::atomic<bool>& stopping) {
  auto stream = std::make_unique<FstrmStream>(target, path, stopping);
  TRY(stream->open());
  return std::unique_ptr<FrameStream>(std::move(stream));
}

}  // namespace mutua::authority
