#pragma once

#include <chrono>

#include "base/bytes.h"
#include "base/result.h"
#include "base/socket_address.h"

namespace mutua::stub_client {

enum class Transport { udp_then_tcp, tcp };

// Sends one DNS message to one nameserver and waits for the response with the same id and
// question. UDP first, sent again every `timeout`/4; TCP where the answer is truncated or the
// message is longer than 1232 octets. Blocks at most `timeout`. The response is not verified.
Result<Bytes> exchange(const SocketAddress& server, BytesView message,
                       std::chrono::milliseconds timeout,
                       Transport transport = Transport::udp_then_tcp);

}  // namespace mutua::stub_client
