// mutua-resolver: parse, construct, run. What stands later is destroyed earlier.

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <thread>

#include "base/durable_file.h"
#include "base/log.h"
#include "base/service_manager.h"
#include "control/control.h"
#include "resolver/authorities/authorities.h"
#include "resolver/authorities/zone_client.h"
#include "resolver/command_line.h"
#include "resolver/event_loop/signal_watch.h"
#include "resolver/kernel_redirect/kernel_redirect.h"
#include "resolver/local_api/control_commands.h"
#include "resolver/local_api/name_table.h"
#include "resolver/local_api/nss_server.h"
#include "resolver/local_api/stub_server.h"
#include "resolver/mirror/mirror.h"
#include "resolver/name_list/name_list.h"
#include "resolver/redirect/local_route.h"
#include "resolver/service/acceptable_peer.h"
#include "resolver/service/connect_routes.h"
#include "resolver/service/prober.h"
#include "upstream/upstream.h"

namespace mutua::resolver {
namespace {

constexpr std::chrono::milliseconds kAuthorityPatience{4000};  // less than the NSS module's
constexpr std::chrono::milliseconds kRealDnsLongest{8000};
// A recursive resolver may have to ask others first.
constexpr Authorities::Patience kRealDnsPatience{std::chrono::milliseconds(800),
                                                 std::chrono::milliseconds(1500)};
constexpr std::size_t kKnownNames = 4096, kKnownPeers = 10'000;
constexpr std::size_t kOtherDescriptors = 12'288;  // listeners, UDP sessions, NSS, stub, spare

// Each has a channel of its own, so that one that is silent keeps none waiting.
struct Nameservers {
  Nameservers() = default;
  Nameservers(Nameservers&&) = default;
  Nameservers& operator=(Nameservers&&) = default;
  ~Nameservers() { stop(); }

  std::vector<std::unique_ptr<upstream::Upstream>> channels;
  std::unique_ptr<Authorities> any_of_them;

  // Whoever waits is answered, and nobody is asked any more.
  void stop() {
    if (any_of_them) any_of_them->stop();
    channels.clear();
  }
};

Ask ask_through(upstream::Upstream& upstream) {
  return [&upstream](Bytes query, std::function<void(Result<Bytes>)> done) {
    if (!upstream.ask(std::move(query), done)) done(Error("ask: too many questions in flight"));
  };
}

Later on_loop(EventLoop& loop) {
  return [&loop](std::chrono::milliseconds delay, std::function<void()> action) {
    loop.post([&loop, delay, action = std::move(action)] { loop.after(delay, action); });
  };
}

Result<Nameservers> make_nameservers(const std::vector<SocketAddress>& addresses,
                                     std::chrono::milliseconds longest,
                                     Authorities::Patience patience, EventLoop& loop) {
  Nameservers made;
  std::vector<Authorities::Server> servers;
  for (const SocketAddress& address : addresses) {
    made.channels.push_back(TRY(upstream::Upstream::create({address}, longest)));
    servers.push_back({address, ask_through(*made.channels.back())});
  }
  made.any_of_them =
      std::make_unique<Authorities>(std::move(servers), on_loop(loop), boot_clock(), patience);
  return made;
}

// Null where none is wanted.
Result<std::unique_ptr<Mirror>> make_mirror(const ResolverConfig& config) {
  if (!config.mirror) return std::unique_ptr<Mirror>();
  MirrorSettings settings{config.trust_anchors, config.authorities,
                          config.state / (key_of(config.zone) + ".mirror")};
  settings.transfer_key = config.transfer_key;
  settings.refresh = config.mirror_refresh;
  settings.stale_for = config.stale;
  return Mirror::create(std::move(settings), boot_clock());
}

// The mirror answers by itself; without one, or before it has come, the authorities are asked.
AskZone ask_zone_through(ZoneClient& client, const Mirror* mirror) {
  return [&client, mirror](const wire::Question& question, std::function<void(ZoneAnswer)> done) {
    if (auto known = mirror ? mirror->answer(question) : std::nullopt)
      return done(*std::move(known));
    client.ask(question, std::move(done));
  };
}

DiscoverySettings discovery_settings(const ResolverConfig& config, const NameList* list,
                                     const Mirror* mirror, EventLoop& loop) {
  // A federation on this very machine, for trials, has its peers here too.
  const bool local = std::any_of(config.authorities.begin(), config.authorities.end(),
                                 [](const SocketAddress& one) { return one.is_loopback(); });
  DiscoverySettings settings;
  settings.zone = config.zone;
  settings.lookaside = config.lookaside;
  if (list) settings.is_listed = [list](const wire::Name& name) { return list->contains(name); };
  if (mirror) {
    settings.is_listed = [mirror](const wire::Name& name) { return mirror->looks_aside_for(name); };
    settings.heard_at = [mirror](SteadyTime now) {
      return std::min(now, mirror->heard_at().value_or(now));
    };
  }
  settings.stale_for = config.stale;
  settings.acceptable =
      [pool = config.pool, loopback = local ? LoopbackPeers::yes : LoopbackPeers::no](
          const SocketAddress& peer) { return is_acceptable_peer(peer, pool, loopback); };
  settings.asks_inside_only = !config.trust_anchors.empty();
  settings.later = on_loop(loop);
  return settings;
}

RelaySettings relay_settings() {
  const std::size_t descriptors = raise_descriptor_limit();
  RelaySettings settings;
  settings.threads = std::clamp(std::thread::hardware_concurrency(), 1u, 4u);
  // Two sockets for each connection.
  settings.connections = std::clamp<std::size_t>(
      (descriptors - std::min(descriptors / 4, kOtherDescriptors)) / 2, 16, 100'000);
  return settings;
}

// Addresses of a range that this machine does not have yet need a route to the loopback interface.
Result<std::vector<LocalRoute>> make_pools_local(const ResolverConfig& config) {
  std::vector<LocalRoute> routes;
  const auto make_local = [&](const SocketAddress& network, unsigned prefix_length,
                              const SocketAddress& one_of_it) -> Result<void> {
    if (!is_local(one_of_it)) routes.push_back(TRY(LocalRoute::add(network, prefix_length)));
    return {};
  };
  const Ipv4 first{config.pool.first.value + 1};
  TRY(make_local(config.pool.first.with_port(0), config.pool.prefix_length, first.with_port(0)));
  if (config.pool6) {
    TRY(make_local(config.pool6->with(Ipv4{}, 0), 96, config.pool6->with(first, 0)));
  }
  return routes;
}

// Null: connections go through the relay.
Result<std::unique_ptr<KernelRedirect>> make_kernel_redirect(const ResolverConfig& config) {
  if (config.redirect == RedirectMode::relay) return std::unique_ptr<KernelRedirect>();
  KernelRedirectSettings settings{config.cgroup, config.pool, config.pool6};
  if (settings.cgroup.empty()) {
    const auto mounts = read_file("/proc/self/mountinfo", 4 << 20);
    if (mounts) settings.cgroup = cgroup_root_in(as_text(*mounts));
  }
  auto made = KernelRedirect::create(settings);
  if (made || config.redirect == RedirectMode::kernel) return made;
  log::info("kernel_redirect.unavailable", {{"cause", made.error().message()}});
  return std::unique_ptr<KernelRedirect>();
}

Result<void> run(const ResolverConfig& config) {
  const auto loop = TRY(EventLoop::create());
  const auto signals = TRY(SignalWatch::create(*loop, {SIGTERM, SIGINT}));
  std::filesystem::create_directories(config.socket_folder);
  const auto routes = TRY(make_pools_local(config));
  auto book = TRY(AddressBook::open(config.pool, kKnownNames, config.socket_folder / "addresses"));
  auto authorities = TRY(make_nameservers(config.authorities, kAuthorityPatience, {}, *loop));
  ZoneClient zone(config.trust_anchors, *authorities.any_of_them, boot_clock());
  const auto mirror = TRY(make_mirror(config));
  const AskZone ask_zone = ask_zone_through(zone, mirror.get());
  Nameservers real_dns;
  if (!config.upstreams.empty())
    real_dns = TRY(make_nameservers(config.upstreams, kRealDnsLongest, kRealDnsPatience, *loop));

  std::optional<NameList> list;
  if (config.lookaside == Lookaside::listed && !mirror)
    list.emplace(config.zone, config.authorities, config.transfer_key, config.stale, boot_clock());
  Discovery discovery(discovery_settings(config, list ? &*list : nullptr, mirror.get(), *loop),
                      ask_zone, boot_clock());
  HealthTable health(kKnownPeers);
  Chooser chooser(discovery, health, Policy{}, boot_clock());
  const auto kernel = TRY(make_kernel_redirect(config));
  const auto relay = TRY(Relay::create(relay_settings(), chooser));
  // Only with the kernel's help: with gates the relay binds nothing, so that somebody has to bring the
  // connections.
  if (kernel) {
    const auto gates = TRY(relay->open_gates(
        [&](const auto& client, const auto& peer) { return kernel->meant(client, peer); }));
    TRY(kernel->bring_to(gates));
  }
  const auto table = TRY(NameTable::create({config.zone, config.lookaside, config.pool6}, *loop));
  NamesSettings names_settings;
  names_settings.ipv6 = config.pool6;
  Names names(names_settings, *loop, discovery, *relay, *table, std::move(book), kernel.get());
  const auto nss =
      TRY(NssServer::create(config.socket_folder / "resolver.sock", *loop, names, *table));
  Prober prober(*loop, chooser, names);
  std::optional<ConnectRoutes> routes_in_kernel;
  if (kernel) routes_in_kernel.emplace(*loop, *kernel, *relay, chooser, names);
  std::unique_ptr<StubServer> stub;
  if (real_dns.any_of_them) {
    stub = TRY(StubServer::create(
        config.stub_listen, *loop,
        {names, discovery, pass_on_to(*authorities.any_of_them), pass_on_to(*real_dns.any_of_them),
         zone.validates() ? ask_zone : nullptr, config.zone}));
  }
  ControlCommands commands({*loop, *authorities.any_of_them, zone, mirror.get(), discovery, health,
                            chooser, names, *relay,
                            routes_in_kernel ? &*routes_in_kernel : nullptr});
  auto control = TRY(control::Server::create(
      config.control_socket, 0666,
      [&](const auto& request, const auto&) { return commands.handle(request); }));

  if (mirror) mirror->start();
  names.begin();
  prober.begin();
  if (routes_in_kernel) TRY(routes_in_kernel->begin());
  std::puts("ready");
  std::fflush(stdout);
  notify_manager("READY=1");
  loop->run();

  notify_manager("STOPPING=1");
  // Those who may still call into the rest go first.
  control.reset();
  relay->stop();
  authorities.stop();
  real_dns.stop();
  return {};
}

}  // namespace
}  // namespace mutua::resolver

int main(int argc, char** argv) {
  const auto command_line = mutua::resolver::read_command_line(argc, argv);
  if (command_line.exit_code) return *command_line.exit_code;
  const auto ended = mutua::resolver::run(command_line.config);
  if (ended) return 0;
  mutua::log::error("resolver.failed", {{"cause", ended.error().message()}});
  return 1;
}
