#include "resolver/config.h"

#include <algorithm>

#include "base/durable_file.h"
#include "zone_transfer/key_file.h"

namespace mutua::resolver {
namespace {

using namespace std::chrono_literals;

constexpr int kDnsPort = 53;
constexpr std::size_t kMostNameservers = 8;  // each has a thread
constexpr std::size_t kLargestAnchorFile = 64 * 1024;

Result<std::vector<SocketAddress>> addresses(Config& file, std::string_view key) {
  std::vector<SocketAddress> parsed;
  for (const std::string& text : file.list(key)) {
    const auto address = SocketAddress::parse(text, kDnsPort);
    if (!address) return file.error_at(key, address.error().message());
    parsed.push_back(*address);
  }
  return parsed;
}

Result<std::chrono::seconds> seconds_within(Config& file, std::string_view key,
                                            std::chrono::seconds fallback,
                                            std::chrono::seconds least, std::chrono::seconds most) {
  const auto value = TRY(file.duration(key, fallback));
  if (value < least || value > most)
    return file.error_at(key, "expected " + std::to_string(least.count()) + " to " +
                                  std::to_string(most.count()) + " seconds");
  return std::chrono::duration_cast<std::chrono::seconds>(value);
}

// Each value is a record, or the path of a file of records.
Result<TrustAnchors> trust_anchors(Config& file, const wire::Name& zone) {
  TrustAnchors anchors(zone);
  for (const std::string& value : file.list("trust_anchor")) {
    const bool is_path = value.starts_with('/');
    const auto content = is_path ? read_file(value, kLargestAnchorFile) : to_bytes(value);
    if (!content) return file.error_at("trust_anchor", content.error().message());
    const std::size_t before = anchors.all().size();
    const auto added = anchors.add(as_text(*content));
    if (!added) return file.error_at("trust_anchor", added.error().message());
    // A file that went empty must not turn the checks off.
    if (is_path && anchors.all().size() == before)
      return file.error_at("trust_anchor", value + " adds no trust anchor");
  }
  return anchors;
}

}  // namespace

std::vector<SocketAddress> nameservers_in(std::string_view resolv_conf) {
  std::vector<SocketAddress> found;
  while (!resolv_conf.empty()) {
    const auto end = std::min(resolv_conf.find('\n'), resolv_conf.size());
    std::string_view line = resolv_conf.substr(0, end);
    resolv_conf.remove_prefix(std::min(end + 1, resolv_conf.size()));
    if (!line.starts_with("nameserver")) continue;
    line.remove_prefix(10);
    const auto first = line.find_first_not_of(" \t");
    if (first == 0 || first == std::string_view::npos) continue;
    line = line.substr(first, line.find_first_of(" \t\r", first) - first);
    const std::string text(line);
    const auto address = SocketAddress::parse(
        text.find(':') != std::string::npos ? "[" + text + "]" : text, kDnsPort);
    if (address) found.push_back(*address);
  }
  return found;
}

Result<ResolverConfig> read_resolver_config(Config file, std::string_view resolv_conf) {
  ResolverConfig config;
  const auto zone = wire::Name::parse(TRY(file.required_text("zone")));
  if (!zone) return file.error_at("zone", zone.error().message());
  config.zone = *zone;
  config.trust_anchors = TRY(trust_anchors(file, config.zone));
  config.mirror = TRY(file.yes_no("mirror", false));
  if (config.mirror && config.trust_anchors.empty())
    return file.error_at("mirror", "needs a trust_anchor: nobody else would vouch for the copy");
  config.state = TRY(file.text("state", "/var/lib/mutua-resolver"));
  config.mirror_refresh = TRY(seconds_within(file, "mirror_refresh", 10s, 1s, 24h));
  config.stale = TRY(seconds_within(file, "stale", 72h, 0s, 24h * 30));
  const std::string lookaside = TRY(file.text("lookaside", "no"));
  if (lookaside == "yes") {
    config.lookaside = Lookaside::yes;
  } else if (lookaside == "listed") {
    config.lookaside = Lookaside::listed;
  } else if (lookaside != "no") {
    return file.error_at("lookaside", "expected no, listed or yes");
  }
  if (const std::string key = TRY(file.text("transfer_key", "")); !key.empty()) {
    auto read = zone_transfer::read_tsig_key(key);
    if (!read) return file.error_at("transfer_key", read.error().message());
    config.transfer_key = *std::move(read);
  }
  config.authorities = TRY(addresses(file, "authority"));
  config.upstreams = TRY(addresses(file, "upstream"));
  config.stub_listen = TRY(addresses(file, "stub_listen"));
  config.socket_folder = TRY(file.text("socket_folder", "/run/mutua"));
  config.control_socket = TRY(file.text("control_socket", "/run/mutua/resolver-control.sock"));
  const auto pool = Ipv4Range::parse(TRY(file.text("pool", "127.192.0.0/10")));
  if (!pool) return file.error_at("pool", pool.error().message());
  config.pool = *pool;
  if (const std::string text = TRY(file.text("pool6", "none")); text != "none") {
    const auto pool6 = Ipv6Prefix::parse(text);
    if (!pool6) return file.error_at("pool6", pool6.error().message());
    config.pool6 = *pool6;
  }
  const std::string redirect = TRY(file.text("redirect", "auto"));
  if (redirect == "kernel") {
    config.redirect = RedirectMode::kernel;
  } else if (redirect == "relay") {
    config.redirect = RedirectMode::relay;
  } else if (redirect != "auto") {
    return file.error_at("redirect", "expected auto, kernel or relay");
  }
  config.cgroup = TRY(file.text("cgroup", ""));
  TRY(file.finish());
  if (config.authorities.empty()) return file.error_at("authority", "at least one is needed");
  if (config.authorities.size() > kMostNameservers)
    return file.error_at("authority", "more than 8");
  if (config.stub_listen.empty()) return config;
  if (config.upstreams.empty()) config.upstreams = nameservers_in(resolv_conf);
  // A resolv.conf that names the stub itself would make it ask itself.
  std::erase_if(config.upstreams, [&](const SocketAddress& one) {
    return std::find(config.stub_listen.begin(), config.stub_listen.end(), one) !=
           config.stub_listen.end();
  });
  if (config.upstreams.size() > kMostNameservers) config.upstreams.resize(kMostNameservers);
  if (config.upstreams.empty()) {
    return file.error_at("upstream",
                         "none is given, and /etc/resolv.conf names none but the stub itself");
  }
  return config;
}

}  // namespace mutua::resolver
