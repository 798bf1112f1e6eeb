#include "control/line_stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>

namespace mutua::control {
namespace {

Result<boost::json::object> parse_object(std::string_view line) {
  boost::json::parse_options options;
  options.max_depth = 16;
  boost::json::error_code problem;
  boost::json::value value = boost::json::parse(line, problem, {}, options);
  if (problem) return Error("not JSON: " + problem.message());
  if (!value.is_object()) return Error("not a JSON object");
  return std::move(value.as_object());
}

}  // namespace

Result<void> wait_ready(int fd, short events, std::optional<SteadyTime> deadline) {
  for (;;) {
    int timeout = -1;
    if (deadline) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(
          *deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0) return Error("timed out");
      timeout = static_cast<int>(std::min<std::int64_t>(left.count(), 60'000));
    }
    pollfd entry{fd, events, 0};
    const int count = ::poll(&entry, 1, timeout);
    if (count > 0) return {};
    if (count < 0 && errno != EINTR) return errno_error(errno, "poll");
  }
}

Result<std::optional<boost::json::object>> LineStream::read(std::size_t limit,
                                                            std::optional<SteadyTime> deadline) {
  std::size_t searched = 0;
  for (;;) {
    const std::size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos && end <= limit) {
      auto object = TRY(parse_object(std::string_view(buffer_).substr(0, end)));
      buffer_.erase(0, end + 1);
      return std::optional(std::move(object));
    }
    if (buffer_.size() > limit) return errorf("a line of more than %zu bytes", limit);
    searched = buffer_.size();
    TRY(wait_ready(fd_.get(), POLLIN, deadline));
    char chunk[16 * 1024];
    const ssize_t count = ::recv(fd_.get(), chunk, sizeof chunk, 0);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0) return errno_error(errno, "receive");
    if (count == 0 && buffer_.empty()) return std::optional<boost::json::object>();
    if (count == 0) return Error("the connection ended within a line");
    buffer_.append(chunk, static_cast<std::size_t>(count));
  }
}

Result<void> LineStream::write(const boost::json::object& object,
                               std::optional<SteadyTime> deadline) {
  const std::string line = boost::json::serialize(object) + "\n";
  std::string_view rest = line;
  while (!rest.empty()) {
    TRY(wait_ready(fd_.get(), POLLOUT, deadline));
    const ssize_t count = ::send(fd_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0) return errno_error(errno, "send");
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

}  // namespace mutua::control
