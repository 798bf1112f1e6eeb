#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/socket_address.h"
#include "base/unique_fd.h"

namespace mutua::authority {

// Answers GET /metrics with a text, over HTTP/1.1, one client after the other on one thread: a
// collector comes every few seconds. A request has 2 seconds and 8 KiB; whatever else is asked for
// is 404, whatever is no request 400.
class MetricsServer {
 public:
  // `text` is called on the server's thread for each request. Port 0 picks a port.
  static Result<std::unique_ptr<MetricsServer>> create(const std::vector<SocketAddress>& addresses,
                                                       std::function<std::string()> text);
  ~MetricsServer();  // stops
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  const std::vector<SocketAddress>& addresses() const { return addresses_; }
  void start();
  void stop();

 private:
  MetricsServer() = default;
  void run();
  void serve(UniqueFd client) const;

  std::vector<SocketAddress> addresses_;
  std::vector<UniqueFd> listeners_;
  std::function<std::string()> text_;
  UniqueFd stop_;  // an eventfd
  std::thread thread_;
};

}  // namespace mutua::authority
