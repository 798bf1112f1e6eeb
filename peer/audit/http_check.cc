#include "peer/audit/run_check.h"
#include "peer/exchange/http_client.h"

namespace mutua::peer {
namespace {

constexpr std::uint64_t kLargestBodyBytes = 1 << 20;

}  // namespace

Finding run_http_check(const HttpCheck& check, const SocketAddress& replica,
                       const std::string& service, std::chrono::milliseconds timeout,
                       std::stop_token stop) {
  HttpRequest request;
  request.address = replica;
  request.host = service;
  request.target = check.path;
  request.connect_timeout = request.idle_timeout = request.total_timeout = timeout;
  Bytes body;
  bool too_long = false;
  const HttpSink sink = [&](const HttpHead&, BytesView piece) -> Result<void> {
    too_long = body.size() + piece.size() > kLargestBodyBytes;
    if (too_long) return Error("the body has more than 1 MiB");
    append(body, piece);
    return {};
  };
  // The sink's bound is the one that counts: it tells a long body from a broken connection.
  const auto head = http_get(request, 2 * kLargestBodyBytes, sink, std::move(stop));
  const auto altered = [&](const std::string& detail) {
    return Finding{Outcome::altered, detail, trust::sha256(body)};
  };
  if (too_long) return altered("the body has more than 1 MiB");
  if (!head.ok()) {
    const std::string& detail = head.error().message();
    return {Outcome::unreachable, detail, trust::sha256(as_bytes(detail))};
  }
  if (head->status != check.status) {
    return altered("status " + std::to_string(head->status) + " instead of " +
                   std::to_string(check.status));
  }
  if (check.digest && trust::sha256(body) != *check.digest) {
    return altered("the body has digest " + trust::sha256(body).to_text());
  }
  if (check.pattern && !check.pattern->is_found_in(body)) {
    return altered("the body does not match the pattern");
  }
  return {Outcome::passed, "status " + std::to_string(head->status), trust::sha256(body)};
}

}  // namespace mutua::peer
