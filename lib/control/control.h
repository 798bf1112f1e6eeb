#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"

namespace mutua::control {

// A daemon's control socket: a UNIX stream socket on which each side writes JSON objects, one a
// line. A client sends one request {"command": …, …}; the daemon sends any number of
// {"progress": {…}} and ends with {"result": {…}} or {"error": "…"}, then closes.
// A request is at most 64 KiB; a response line at most 4 MiB.

using Progress = std::function<void(const boost::json::object&)>;

// Runs on a thread of its own for each request, so it may block; it must be thread-safe.
using Handler = std::function<Result<boost::json::object>(const boost::json::object& request,
                                                          Progress progress)>;

// Serves `path` from creation to destruction. Replaces a stale socket; fails where another daemon
// answers there. At most 32 requests at a time; more get {"error": "busy"}. At most 64
// connections; more are closed.
class Server {
 public:
  static Result<std::unique_ptr<Server>> create(const std::filesystem::path& path, mode_t mode,
                                                Handler handler);
  virtual ~Server() = default;
};

// One request. `on_progress` may be empty. A timeout of zero waits as long as the daemon lives.
Result<boost::json::object> call(const std::filesystem::path& path,
                                 const boost::json::object& request, const Progress& on_progress,
                                 std::chrono::milliseconds timeout);

}  // namespace mutua::control
