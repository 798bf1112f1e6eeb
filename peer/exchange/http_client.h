#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/socket_address.h"

namespace mutua::peer {

struct HttpRequest {
  SocketAddress address;
  std::string host;  // the Host field
  std::string target = "/";
  std::uint64_t first_byte = 0;  // more than 0: asks for the range from here on
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds idle_timeout{10'000};   // without one octet
  std::chrono::milliseconds total_timeout{60'000};  // for everything
};

struct HttpHead {
  unsigned status = 0;
  std::optional<std::uint64_t> content_length;
  std::optional<std::uint64_t> range_start;  // of Content-Range
};

// Called with each piece of the body, on the calling thread. An error ends the request.
using HttpSink = std::function<Result<void>(const HttpHead&, BytesView)>;

// One GET over a connection of its own. Blocks; ends early when `stop` is requested. A body of more
// than `limit_bytes` is an error, before more of it is read. Redirects are not followed.
Result<HttpHead> http_get(const HttpRequest& request, std::uint64_t limit_bytes,
                          const HttpSink& sink, std::stop_token stop = {});

// The same with the body in memory.
struct HttpResponse {
  HttpHead head;
  Bytes body;
};
Result<HttpResponse> http_get(const HttpRequest& request, std::uint64_t limit_bytes,
                              std::stop_token stop = {});

}  // namespace mutua::peer
