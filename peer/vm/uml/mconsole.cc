#include "peer/vm/uml/mconsole.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "base/unique_fd.h"

namespace mutua::vm::uml {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::uint32_t kMagic = 0xcafebabe;
constexpr std::uint32_t kVersion = 2;
constexpr std::size_t kDataBytes = 512;
constexpr std::size_t kLargestAnswerBytes = 256 << 10;

// Both in the host's byte order; `length` counts the data's bytes with its final zero.
struct Request {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint32_t length;
  std::array<char, kDataBytes> data;
};
struct Reply {
  std::uint32_t failed;
  std::uint32_t more;
  std::uint32_t length;
  std::array<char, kDataBytes> data;
};

}  // namespace

Result<std::string> mconsole_request(const std::filesystem::path& path, std::string_view command,
                                     milliseconds deadline, int interrupt) {
  const auto end = steady_clock::now() + deadline;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof address.sun_path || command.size() >= kDataBytes) {
    return errorf("mconsole: the path or the command is too long");
  }
  std::memcpy(address.sun_path, path.c_str(), path.native().size());

  const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return errno_error(errno, "mconsole: socket");
  // Binding to no name gives the socket an address of its own for the answer to come to.
  const sockaddr_un none{AF_UNIX, {}};
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&none), sizeof(sa_family_t)) != 0 ||
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return errno_error(errno, "mconsole: connect");
  }
  Request request{kMagic, kVersion, static_cast<std::uint32_t>(command.size()), {}};
  std::memcpy(request.data.data(), command.data(), command.size());
  if (::send(socket.get(), &request, sizeof request, MSG_NOSIGNAL) < 0) {
    return errno_error(errno, "mconsole: send");
  }

  std::string answer;
  bool failed = false;
  for (;;) {
    const auto left = std::chrono::duration_cast<milliseconds>(end - steady_clock::now()).count();
    if (left <= 0) return errorf("mconsole: no answer in time");
    pollfd readable[] = {{socket.get(), POLLIN, 0}, {interrupt, POLLIN, 0}};
    if (::poll(readable, 2, static_cast<int>(left)) <= 0) continue;
    // An answer that came before the interruption counts.
    if (readable[0].revents == 0) return errorf("mconsole: no answer, the kernel ended");
    Reply reply{};
    const ssize_t got = ::recv(socket.get(), &reply, sizeof reply, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got < static_cast<ssize_t>(offsetof(Reply, data))) {
      return errorf("mconsole: a malformed answer");
    }
    const std::size_t bytes = static_cast<std::size_t>(got) - offsetof(Reply, data);
    answer.append(reply.data.data(), ::strnlen(reply.data.data(), bytes));
    failed = failed || reply.failed != 0;
    if (reply.more == 0) break;
    if (answer.size() > kLargestAnswerBytes) return errorf("mconsole: an endless answer");
  }
  if (failed) return errorf("mconsole: %s", answer.c_str());
  return answer;
}

}  // namespace mutua::vm::uml
