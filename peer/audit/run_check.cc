#include "peer/audit/run_check.h"

namespace mutua::peer {

Finding run_check(const Check& check, const SocketAddress& replica, const std::string& service,
                  std::chrono::milliseconds timeout, std::stop_token stop) {
  if (const auto* http = std::get_if<HttpCheck>(&check.expectation)) {
    return run_http_check(*http, replica, service, timeout, std::move(stop));
  }
  if (const auto* exec = std::get_if<ExecCheck>(&check.expectation)) {
    return run_exec_check(*exec, replica, service, timeout);
  }
  return run_tcp_check(replica, timeout);
}

}  // namespace mutua::peer
