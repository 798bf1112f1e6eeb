#include <cerrno>

#include "control/control.h"
#include "control/line_stream.h"
#include "control/unix_socket.h"

namespace mutua::control {
namespace {

Result<UniqueFd> connect_to(const std::filesystem::path& path) {
  const std::string operation = "connect to " + path.string();
  const sockaddr_un address = TRY(unix_address(path));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno_error(errno, operation);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    return fd;
  }
  if (errno == ENOENT || errno == ECONNREFUSED) {
    return Error(operation + ": the daemon does not run");
  }
  // A full backlog shows as EAGAIN on UNIX sockets; there is nothing to wait for with poll.
  return errno_error(errno, operation);
}

}  // namespace

Result<boost::json::object> call(const std::filesystem::path& path,
                                 const boost::json::object& request, const Progress& on_progress,
                                 std::chrono::milliseconds timeout) {
  std::optional<SteadyTime> deadline;
  if (timeout.count() > 0) deadline = std::chrono::steady_clock::now() + timeout;
  LineStream stream(TRY(connect_to(path)));
  const auto failed = [&](const Error& error) { return error.in("control " + path.string()); };
  if (auto written = stream.write(request, deadline); !written.ok()) return failed(written.error());
  for (;;) {
    auto line = stream.read(kLargestResponseBytes, deadline);
    if (!line.ok()) return failed(line.error());
    if (!line->has_value()) return failed(Error("the daemon ended before it answered"));
    boost::json::object& object = **line;
    if (auto* progress = object.if_contains("progress"); progress && progress->is_object()) {
      if (on_progress) on_progress(progress->get_object());
    } else if (auto* result = object.if_contains("result"); result && result->is_object()) {
      return std::move(result->get_object());
    } else if (auto* error = object.if_contains("error"); error && error->is_string()) {
      return Error(std::string(error->get_string()));
    } else {
      return failed(Error("an answer that is neither progress nor result nor error"));
    }
  }
}

}  // namespace mutua::control
