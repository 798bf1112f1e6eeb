#include "authority/config.h"

#include <unistd.h>

#include <array>
#include <climits>
#include <optional>
#include <sstream>
#include <utility>

#include "authority/store/open_store.h"
#include "base/durable_file.h"
#include "zone_transfer/key_file.h"

namespace mutua::authority {
namespace {

constexpr int kDnsPort = 53;
constexpr int kTlsPort = 853;  // RFC 7858
constexpr int kMetricsPort = 9153;
constexpr std::size_t kLargestSecretFile = 4096;

Result<std::vector<SocketAddress>> read_addresses(Config& file, std::string_view key,
                                                  int port = kDnsPort) {
  std::vector<SocketAddress> addresses;
  for (const std::string& text : file.list(key)) {
    const auto address = SocketAddress::parse(text, port);
    if (!address) return file.error_at(key, address.error().message());
    addresses.push_back(*address);
  }
  return addresses;
}

Result<void> read_tls(Config& file, ServerConfig& config) {
  config.listen_tls = TRY(read_addresses(file, "listen_tls", kTlsPort));
  config.tls_certificate = TRY(file.text("tls_certificate", ""));
  config.tls_key = TRY(file.text("tls_key", ""));
  const bool has_files = !config.tls_certificate.empty() && !config.tls_key.empty();
  if (!config.listen_tls.empty() && !has_files)
    return file.error_at("listen_tls", "needs tls_certificate and tls_key");
  if (config.listen_tls.empty() && !(config.tls_certificate.empty() && config.tls_key.empty()))
    return file.error_at("tls_certificate", "has no use without listen_tls");
  return {};
}

Result<void> read_rate_limits(Config& file, RateLimits& limits) {
  limits.per_second =
      static_cast<unsigned>(TRY(file.number("response_rate_limit", limits.per_second, 0, 500'000)));
  limits.slip = static_cast<unsigned>(TRY(file.number("response_rate_slip", limits.slip, 0, 100)));
  const auto exempt = file.list("response_rate_exempt");
  if (!exempt.empty()) limits.exempt.clear();
  for (const std::string& text : exempt) {
    const auto prefix = AddressPrefix::parse(text);
    if (!prefix) return file.error_at("response_rate_exempt", prefix.error().message());
    limits.exempt.push_back(*prefix);
  }
  return {};
}

Result<void> read_cookies(Config& file, ServerConfig& config) {
  const std::string path = TRY(file.text("cookie_secret", ""));
  if (path.empty()) return {};
  const auto content = read_file(path, kLargestSecretFile);
  if (!content) return file.error_at("cookie_secret", content.error().message());
  auto secrets = Cookies::parse_secrets(as_text(*content));
  if (!secrets) return file.error_at("cookie_secret", path + ": " + secrets.error().message());
  config.cookie_secrets = *std::move(secrets);
  return {};
}

// "<address>", or "<address> xdp"
Result<void> read_listen(Config& file, ServerConfig& config) {
  constexpr std::string_view kXdp = " xdp";
  for (std::string text : file.list("listen")) {
    const bool is_xdp = text.ends_with(kXdp);
    if (is_xdp) text.resize(text.find_last_not_of(' ', text.size() - kXdp.size()) + 1);
    const auto address = SocketAddress::parse(text, kDnsPort);
    if (!address) return file.error_at("listen", address.error().message());
    config.listen.push_back(*address);
    if (!is_xdp) continue;
    if (is_wildcard(*address)) return file.error_at("listen", "xdp needs an address, not all");
    if (address->is_loopback())
      return file.error_at("listen", "xdp has no use with a loopback address");
    config.listen_xdp.push_back(*address);
  }
  if (config.listen.empty()) return file.error_at("listen", "at least one address is needed");
  return {};
}

Result<void> read_server(Config& file, AuthorityConfig& config) {
  TRY(read_listen(file, config.server));
  config.server.udp_workers = static_cast<unsigned>(TRY(file.number("workers", 1, 1, 256)));
  TcpLimits& tcp = config.server.tcp;
  tcp.connections = TRY(file.number("tcp_connections", tcp.connections, 1, 100'000));
  tcp.idle = TRY(file.duration("tcp_idle", tcp.idle));
  if (tcp.idle < std::chrono::seconds(1)) return file.error_at("tcp_idle", "must be at least 1s");
  config.metrics_listen = TRY(read_addresses(file, "metrics_listen", kMetricsPort));
  TRY(read_tls(file, config.server));
  TRY(read_cookies(file, config.server));
  return read_rate_limits(file, config.server.rate_limits);
}

Result<void> read_unknown_names(Config& file, AuthorityConfig& config) {
  const std::string mode = TRY(file.text("unknown_names", "refuse"));
  if (mode != "refuse" && mode != "forward")
    return file.error_at("unknown_names", "must be refuse or forward, not " + mode);
  config.unknown_names = mode == "forward" ? UnknownNames::forward : UnknownNames::refuse;
  config.upstreams = TRY(read_addresses(file, "upstream"));
  if (mode == "forward" && config.upstreams.empty())
    return file.error_at("upstream", "needed where unknown_names = forward");
  if (mode == "refuse" && !config.upstreams.empty())
    return file.error_at("upstream", "has no use where unknown_names = refuse");
  return {};
}

Result<std::vector<wire::TsigKey>> read_tsig_keys(Config& file, std::string_view key) {
  std::vector<wire::TsigKey> keys;
  for (const std::string& text : file.list(key)) {
    auto read = zone_transfer::read_tsig_key(text);
    if (!read) return file.error_at(key, read.error().message());
    keys.push_back(*std::move(read));
  }
  return keys;
}

Result<std::chrono::seconds> read_seconds(Config& file, std::string_view key,
                                          std::chrono::seconds fallback) {
  return std::chrono::ceil<std::chrono::seconds>(TRY(file.duration(key, fallback)));
}

Result<void> read_key_layout(Config& file, DnssecConfig& dnssec) {
  const std::string layout = TRY(file.text("dnssec_signing_keys", "csk"));
  if (layout != "csk" && layout != "split")
    return file.error_at("dnssec_signing_keys", "must be csk or split, not " + layout);
  if (layout == "split") dnssec.plan.layout = KeyLayout::split;
  constexpr std::chrono::seconds kForever(0);
  const auto lifetime = TRY(read_seconds(file, "dnssec_key_lifetime", kForever));
  if (lifetime != kForever) dnssec.roll.lifetime = lifetime;
  const auto data_lifetime = TRY(read_seconds(file, "dnssec_zsk_lifetime", kForever));
  if (data_lifetime != kForever) dnssec.roll.data_lifetime = data_lifetime;
  if (dnssec.roll.data_lifetime && dnssec.plan.layout == KeyLayout::csk)
    return file.error_at("dnssec_zsk_lifetime", "has no use without dnssec_signing_keys = split");
  return {};
}

// Where there is no key yet, the daemon makes it: reading a configuration changes nothing.
Result<void> read_dnssec(Config& file, AuthorityConfig& config) {
  DnssecConfig& dnssec = config.dnssec;
  dnssec.keys = TRY(file.text("dnssec_keys", ""));
  const std::string algorithm = TRY(file.text("dnssec_algorithm", "ed25519"));
  if (algorithm != "ed25519" && algorithm != "ecdsap256sha256")
    return file.error_at("dnssec_algorithm",
                         "must be ed25519 or ecdsap256sha256, not " + algorithm);
  dnssec.plan.algorithm =
      algorithm == "ed25519" ? trust::Algorithm::ed25519 : trust::Algorithm::ecdsa_p256_sha256;
  const std::string denial = TRY(file.text("dnssec_denial", "nsec"));
  if (denial != "nsec" && denial != "nsec3")
    return file.error_at("dnssec_denial", "must be nsec or nsec3, not " + denial);
  constexpr std::size_t kLongestHashed = 255 - 33;  // <hash>.<zone> must be a name
  if (denial == "nsec3" && config.zone.wire().size() > kLongestHashed)
    return file.error_at("dnssec_denial", "the zone's name is too long for nsec3");
  if (denial == "nsec3") config.writer.denial = Denial::nsec3;
  TRY(read_key_layout(file, dnssec));
  dnssec.roll.parent_ds_ttl =
      TRY(read_seconds(file, "dnssec_parent_ds_ttl", dnssec.roll.parent_ds_ttl));
  dnssec.roll.propagation = TRY(read_seconds(file, "dnssec_propagation", dnssec.roll.propagation));
  dnssec.parents = TRY(read_addresses(file, "dnssec_parent"));

  const std::string digest = TRY(file.text("zonemd", "off"));
  if (digest != "off") {
    const auto pause = parse_duration(digest);
    if (!pause) return file.error_at("zonemd", "must be off or a duration: " + digest);
    config.writer.digest_pause = *pause;
  }
  const std::string without = TRY(file.text("dnssec", ""));
  if (!without.empty() && without != "keep" && without != "remove")
    return file.error_at("dnssec", "must be keep or remove, not " + without);
  if (config.writer.denial == Denial::nsec3 && dnssec.keys.empty())
    return file.error_at("dnssec_denial", "has no use without dnssec_keys");
  if (!without.empty() && !dnssec.keys.empty())
    return file.error_at("dnssec", "has no use beside dnssec_keys");
  if (without == "keep") config.writer.without_keys = WithoutKeys::keep;
  if (without == "remove") config.writer.without_keys = WithoutKeys::remove;
  return {};
}

// "<what> [<name of a transfer key>]"
struct WithKey {
  std::string what;
  std::optional<wire::TsigKey> key;
};
Result<WithKey> read_with_key(const std::string& text, const std::vector<wire::TsigKey>& keys) {
  std::istringstream words(text);
  WithKey read;
  std::string name, more;
  words >> read.what >> name;
  if (words >> more) return Error("expected: address, and a key at most");
  if (name.empty()) return read;
  const wire::Name wanted = TRY(wire::Name::parse(name));
  for (const wire::TsigKey& key : keys)
    if (key.name == wanted) read.key = key;
  if (!read.key) return Error("no transfer_key has the name " + name);
  return read;
}

// "<prefix> [<key>] [tls]"
Result<TransferRule> read_rule(std::string text, const std::vector<wire::TsigKey>& keys) {
  constexpr std::string_view kTls = " tls";
  const bool needs_tls = text.ends_with(kTls);
  if (needs_tls) text.resize(text.size() - kTls.size());
  const WithKey read = TRY(read_with_key(text, keys));
  TransferRule rule{TRY(AddressPrefix::parse(read.what)), std::nullopt, needs_tls};
  if (read.key) rule.key = read.key->name;
  return rule;
}

Result<NotifyTarget> read_target(const std::string& text, const std::vector<wire::TsigKey>& keys) {
  WithKey read = TRY(read_with_key(text, keys));
  return NotifyTarget{TRY(SocketAddress::parse(read.what, kDnsPort)), std::move(read.key)};
}

// "address[:port] key|unsigned"
Result<Primary> read_primary(const std::string& text, const std::vector<wire::TsigKey>& keys) {
  const std::size_t space = text.find(' ');
  if (space == std::string::npos) return Error("expected: address, and a key or unsigned");
  if (text.substr(space + 1) == "unsigned")
    return Primary{TRY(SocketAddress::parse(text.substr(0, space), kDnsPort)), std::nullopt};
  WithKey read = TRY(read_with_key(text, keys));
  return Primary{TRY(SocketAddress::parse(read.what, kDnsPort)), std::move(read.key)};
}

// What only a primary has.
Result<void> read_primaries(Config& file, AuthorityConfig& config) {
  for (const std::string& text : file.list("primary")) {
    auto primary = read_primary(text, config.transfer.keys);
    if (!primary) return file.error_at("primary", primary.error().message());
    config.follower.primaries.push_back(*std::move(primary));
  }
  if (config.follower.primaries.empty()) return {};
  const std::pair<const char*, bool> others[] = {
      {"zone_file", !config.zone_file.empty()},
      {"tsig_key", !config.writer.tsig_keys.empty()},
      {"dnssec_keys", !config.dnssec.keys.empty()},
      {"dnssec", config.writer.without_keys != WithoutKeys::refuse},
      {"zonemd", config.writer.digest_pause.has_value()}};
  for (const auto& [key, is_given] : others)
    if (is_given) return file.error_at(key, "has no use on a secondary (primary is given)");
  return {};
}

Result<void> read_transfer(Config& file, TransferConfig& config) {
  config.keys = TRY(read_tsig_keys(file, "transfer_key"));
  for (const std::string& text : file.list("transfer")) {
    auto rule = read_rule(text, config.keys);
    if (!rule) return file.error_at("transfer", rule.error().message());
    config.rules.push_back(*std::move(rule));
  }
  for (const std::string& text : file.list("notify")) {
    auto target = read_target(text, config.keys);
    if (!target) return file.error_at("notify", target.error().message());
    config.notify.push_back(*std::move(target));
  }
  return {};
}

// "socket <path>" or "file <path>"
Result<void> read_tap(Config& file, AuthorityConfig& config) {
  const std::string text = TRY(file.text("dnstap", ""));
  if (text.empty()) return {};
  std::istringstream words(text);
  std::string target, path, more;
  words >> target >> path;
  if ((target != "socket" && target != "file") || path.empty() || words >> more)
    return file.error_at("dnstap", "expected: socket or file, and a path");
  std::array<char, HOST_NAME_MAX + 1> host{};
  ::gethostname(host.data(), HOST_NAME_MAX);
  config.tap =
      TapConfig{target == "socket" ? FrameStream::Target::socket : FrameStream::Target::file, path,
                host.data(), "mutua-authority " MUTUA_VERSION};
  return {};
}

// "<name> [<group>]"
Result<void> read_zone_list(Config& file, AuthorityConfig& config) {
  constexpr std::string_view kKey = "catalog_zone";
  const std::string text = TRY(file.text(kKey, ""));
  if (text.empty()) return {};
  const std::size_t space = text.find(' ');
  const auto name = wire::Name::parse(text.substr(0, space));
  if (!name) return file.error_at(kKey, name.error().message());
  ZoneListConfig list{*name, {}};
  if (space != std::string::npos) list.group = text.substr(text.find_first_not_of(' ', space));
  if (name->is_at_or_below(config.zone) || config.zone.is_at_or_below(*name))
    return file.error_at(kKey, "must be neither in the zone nor above it");
  if (config.transfer.rules.empty()) return file.error_at(kKey, "has no use without transfer");
  const auto made = list_of_zones(list, config.zone, 1);
  if (!made) return file.error_at(kKey, made.error().message());
  config.zone_list = std::move(list);
  return {};
}

}  // namespace

Result<AuthorityConfig> read_authority_config(Config file) {
  AuthorityConfig config;
  const auto zone = wire::Name::parse(TRY(file.required_text("zone")));
  if (!zone) return file.error_at("zone", zone.error().message());
  if (zone->is_root()) return file.error_at("zone", "the root is not a federation's zone");
  config.zone = *zone;
  config.database = TRY(file.required_text("database"));
  if (auto name = check_database_name(config.database); !name.ok())
    return file.error_at("database", name.error().message());
  config.zone_file = TRY(file.text("zone_file", ""));
  config.control_socket = TRY(file.text("control_socket", ""));
  TRY(read_server(file, config));
  TRY(read_unknown_names(file, config));
  config.writer.tsig_keys = TRY(read_tsig_keys(file, "tsig_key"));
  TRY(read_transfer(file, config.transfer));
  TRY(read_zone_list(file, config));
  TRY(read_tap(file, config));
  TRY(read_dnssec(file, config));
  TRY(read_primaries(file, config));
  FederationPolicy& policy = config.writer.federation;
  policy.require_trusted_base =
      TRY(file.yes_no("require_trusted_base", policy.require_trusted_base));
  policy.hosting_grace = TRY(file.number("hosting_grace", policy.hosting_grace, 0, 1'000'000));
  TRY(file.finish());
  return config;
}

}  // namespace mutua::authority
