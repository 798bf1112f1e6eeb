#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/socket_address.h"

namespace mutua::upstream {

// Asks recursive resolvers: real DNS, for the names that the federation does not hold. The only
// user of c-ares, whose channel lives on one thread of its own.
class Upstream {
 public:
  // Called once for each ask() that was taken, on the thread of the Upstream: it must not block.
  // The response carries the id of the query; it is not parsed.
  using Done = std::function<void(Result<Bytes> response)>;

  static constexpr std::size_t kMostInFlight = 1000;

  // `servers`: at least one, asked in turn until one answers. `timeout`: from ask() to Done, at the
  // latest, over all servers and attempts.
  static Result<std::unique_ptr<Upstream>> create(const std::vector<SocketAddress>& servers,
                                                  std::chrono::milliseconds timeout);
  // Calls what is still owed to callers, with an error.
  virtual ~Upstream() = default;

  // Sends one query message (RD is the caller's to set): by UDP, by TCP where the answer is
  // truncated. Any thread. False, and no Done, where kMostInFlight queries are under way or the
  // message is not a query with one question.
  virtual bool ask(Bytes query, Done done) = 0;
};

}  // namespace mutua::upstream
