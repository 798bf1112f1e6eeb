#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "authority/server/answering_context.h"
#include "authority/server/counters.h"
#include "authority/tls/tls_context.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace mutua::authority {

struct TcpLimits {
  std::size_t connections = 1000;
  // A connection that in this time neither brings a whole request nor takes all its responses is
  // closed: it is idle, or it dribbles, or it does not read.
  std::chrono::milliseconds idle = std::chrono::seconds(10);

  // Connections from one address.
  std::size_t connections_of_one_source() const { return connections / 4 + 1; }
};

// Answers all TCP connections of its listeners on one thread, all plain or all with TLS: whatever
// is there is read at once, all of it answered, and the answers written at once. When all places
// are taken, the connection that has been idle longest makes room.
class TcpServer {
 public:
  // `listeners` do not block. `tls` is null for plain connections. The context outlives the server.
  static Result<std::unique_ptr<TcpServer>> create(std::vector<UniqueFd> listeners,
                                                   TcpLimits limits,
                                                   const AnsweringContext& context,
                                                   std::shared_ptr<CurrentTlsContext> tls);
  virtual ~TcpServer() = default;  // stops

  virtual void start() = 0;
  // Sends what is ready, as far as it goes without waiting, and ends the thread.
  virtual void stop() = 0;

  virtual const AnswerCounters& answer_counters() const = 0;
  virtual const ConnectionCounters& connection_counters() const = 0;
};

}  // namespace mutua::authority
