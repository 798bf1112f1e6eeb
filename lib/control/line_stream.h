#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace mutua::control {

constexpr std::size_t kLargestRequestBytes = 64 * 1024;
constexpr std::size_t kLargestResponseBytes = 4 * 1024 * 1024;

// JSON objects, one a line, over a non-blocking stream socket. Used by one thread at a time.
class LineStream {
 public:
  explicit LineStream(UniqueFd fd) : fd_(std::move(fd)) {}

  // The next object. Nothing at the end of the stream. Fails on a line of more than `limit` bytes,
  // on what is no JSON object, and when `deadline` (if any) passes.
  Result<std::optional<boost::json::object>> read(std::size_t limit,
                                                  std::optional<SteadyTime> deadline);
  Result<void> write(const boost::json::object& object, std::optional<SteadyTime> deadline);

 private:
  UniqueFd fd_;
  std::string buffer_;
};

// Waits until `fd` is ready for `events` (poll's). Fails when `deadline` passes.
Result<void> wait_ready(int fd, short events, std::optional<SteadyTime> deadline);

}  // namespace mutua::control
