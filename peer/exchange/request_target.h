#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mutua::peer {

// What a path of the OCI distribution protocol's pull side asks for.
struct RequestTarget {
  enum class Kind { version, manifest, blob, referrers };
  Kind kind = Kind::version;
  std::string service;    // only letters, digits, '-', '.', '_', in lower case
  std::string reference;  // "latest" or a digest's text, not yet parsed
};

// "/v2/", "/v2/<service>/manifests/<reference>", "/v2/<service>/blobs/<digest>",
// "/v2/<service>/referrers/<digest>"; a query behind '?' is ignored. Nothing for any other path.
std::optional<RequestTarget> parse_request_target(std::string_view target);

}  // namespace mutua::peer
