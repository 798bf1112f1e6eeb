#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "resolver/choice/candidate.h"
#include "resolver/choice/service_port.h"
#include "wire/message.h"
#include "wire/name.h"

namespace mutua::resolver {

// What the authority says of a hostname.
struct Description {
  bool held = false;               // otherwise real DNS has the word
  wire::Name canonical;            // behind CNAMEs; the name itself where there are none
  std::vector<ServicePort> ports;  // at most 64
};

// A value and how long it holds.
template <typename Value>
struct Timed {
  Value value;
  std::chrono::seconds ttl{0};
};

// PURE readings of the authority's responses. Only NOERROR and NXDOMAIN are answers; REFUSED and
// NOTAUTH relinquish the name. Anything else is an Error: the authority could not say.

// The question was `name` TXT. Held means a TXT with v=1 and ports=… (PROTOCOL.md, Names).
Result<Timed<Description>> read_description(const wire::Message& response, const wire::Name& name);

struct ServedTarget {
  wire::Name host;
  std::uint16_t priority = 0, weight = 0, port = 0;
};
// The SRV RRset, and the addresses that came along in the additional section.
struct ServedTargets {
  std::vector<ServedTarget> targets;                   // at most 64
  std::map<wire::Name, std::vector<Bytes>> addresses;  // 4 or 16 octets each
};
// The question was `_80._tcp.<hostname>` SRV. A target of "." (RFC 2782: decidedly not available)
// is left out.
Result<Timed<ServedTargets>> read_served_targets(const wire::Message& response,
                                                 const wire::Name& name);

// The question was `host` A or AAAA.
Result<std::vector<Bytes>> read_addresses(const wire::Message& response, const wire::Name& host);

// Each target with each of its addresses that is `acceptable`, at most 64. Targets without such
// addresses are left out.
std::vector<Candidate> candidates_of(const ServedTargets& served,
                                     const std::function<bool(const SocketAddress&)>& acceptable);

}  // namespace mutua::resolver
