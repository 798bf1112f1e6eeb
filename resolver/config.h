#pragma once

#include <filesystem>
#include <vector>

#include "base/config.h"
#include "base/socket_address.h"
#include "resolver/discovery/discovery.h"
#include "resolver/redirect/ipv6_prefix.h"
#include "resolver/validation/trust_anchors.h"
#include "wire/name.h"
#include "wire/tsig_key.h"

namespace mutua::resolver {

// How connections to synthetic addresses reach their peers.
enum class RedirectMode {
  automatic,  // in the kernel where that is allowed, otherwise through the relay
  kernel,     // in the kernel, or not at all
  relay,
};

// mutua-resolver's configuration file; resolver/mutua-resolver.8 describes the keys.
struct ResolverConfig {
  wire::Name zone;
  TrustAnchors trust_anchors{wire::Name()};  // of the zone; none: its answers are believed unproven
  Lookaside lookaside = Lookaside::no;
  std::vector<SocketAddress> authorities;  // 1 to 8
  std::vector<SocketAddress> upstreams;    // at least one where there is a stub listener
  std::vector<SocketAddress> stub_listen;
  std::filesystem::path socket_folder, control_socket;
  Ipv4Range pool;
  std::optional<Ipv6Prefix> pool6;
  RedirectMode redirect = RedirectMode::automatic;
  std::filesystem::path cgroup;               // of the kernel's redirect; empty: the root of all
  std::optional<wire::TsigKey> transfer_key;  // of mirror and list
  // A whole copy of the zone, kept below `state`.
  bool mirror = false;
  std::filesystem::path state;
  std::chrono::seconds mirror_refresh{10};
  std::chrono::seconds stale{std::chrono::hours(72)};  // how long without an authority
};

// `resolv_conf` is the text that names the upstreams where the file has none.
Result<ResolverConfig> read_resolver_config(Config file, std::string_view resolv_conf);

// The nameservers of a resolv.conf(5), at port 53.
std::vector<SocketAddress> nameservers_in(std::string_view resolv_conf);

}  // namespace mutua::resolver
