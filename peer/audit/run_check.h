#pragma once

#include <chrono>
#include <stop_token>
#include <string>

#include "base/socket_address.h"
#include "peer/audit/check.h"
#include "peer/audit/verdict.h"

namespace mutua::peer {

// What one check of one replica found.
struct Finding {
  Outcome outcome = Outcome::unreachable;
  std::string detail;      // for people: "status 500 instead of 200"
  trust::Digest evidence;  // SHA-256 over what the replica gave: body, output; else over `detail`
};

// Blocks for at most `timeout`. Bodies and outputs of more than 1 MiB are altered, not read on.
Finding run_check(const Check& check, const SocketAddress& replica, const std::string& service,
                  std::chrono::milliseconds timeout, std::stop_token stop = {});

// The three kinds.
Finding run_http_check(const HttpCheck& check, const SocketAddress& replica,
                       const std::string& service, std::chrono::milliseconds timeout,
                       std::stop_token stop);
Finding run_exec_check(const ExecCheck& check, const SocketAddress& replica,
                       const std::string& service, std::chrono::milliseconds timeout);
Finding run_tcp_check(const SocketAddress& replica, std::chrono::milliseconds timeout);

}  // namespace mutua::peer
