#include "resolver/kernel_redirect/kernel_redirect.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <redirect.skel.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <ctime>
#include <map>

#include "base/log.h"
#include "base/unique_fd.h"
#include "resolver/kernel_redirect/endpoint.h"
#include "resolver/kernel_redirect/ingress_program.h"
#include "resolver/kernel_redirect/loopback_detour.h"
#include "resolver/kernel_redirect/peer_interfaces.h"
#include "resolver/kernel_redirect/redirect_maps.h"
#include "resolver/kernel_redirect/stand_in.h"

namespace mutua::resolver {

struct KernelRedirect::Programs {
  // The program that hears refusals on one interface.
  struct Hearing {
    std::optional<IngressProgram> program;  // none: it could not be attached
    SteadyTime wanted_at;
  };

  redirect_bpf* skeleton = nullptr;
  std::vector<bpf_link*> links;
  ring_buffer* failures = nullptr;    // and silences
  std::vector<mutua_silence> silent;  // heard of, and not yet told
  std::optional<PeerInterfaces> interfaces;
  std::map<std::uint32_t, Hearing> hearing;  // by interface
  std::optional<LoopbackDetour> detour;
  std::atomic<std::uint64_t> handed_over{0};

  Programs() = default;
  Programs(const Programs&) = delete;
  Programs& operator=(const Programs&) = delete;
  ~Programs() {
    for (bpf_link* link : links) bpf_link__destroy(link);
    ring_buffer__free(failures);
    redirect_bpf__destroy(skeleton);
  }
};

namespace {

constexpr std::chrono::seconds kUnusedHearing{60};

// The library explains a program that the kernel refuses in hundreds of lines; the first says it.
int log_library(libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN) return 0;
  char text[300];
  const int length = std::vsnprintf(text, sizeof text, format, arguments);
  log::debug("kernel_redirect.library", {{"says", text}});
  return length;
}

// The kernel's timers count in these; its coarse clock moves by one of them.
std::uint32_t ticks_per_second() {
  timespec resolution{};
  if (clock_getres(CLOCK_MONOTONIC_COARSE, &resolution) != 0 || resolution.tv_nsec <= 0) return 0;
  return static_cast<std::uint32_t>(1'000'000'000 / resolution.tv_nsec);
}

Result<std::uint64_t> own_network_namespace() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (!socket || getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0)
    return errno_error(errno, "find the network namespace");
  return cookie;
}

// Tunnels have none.
bool has_ethernet_header(std::uint32_t interface) {
  ifreq request{};
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket || if_indextoname(interface, request.ifr_name) == nullptr ||
      ioctl(socket.get(), SIOCGIFHWADDR, &request) != 0)
    return true;
  return request.ifr_hwaddr.sa_family == ARPHRD_ETHER ||
         request.ifr_hwaddr.sa_family == ARPHRD_LOOPBACK;
}

void describe_world(redirect_bpf& skeleton, const KernelRedirectSettings& settings,
                    std::uint64_t network_namespace, bool hands_over_ipv6) {
  auto& constants = *skeleton.rodata;
  constants.netns_cookie = network_namespace;
  constants.pool_network = htonl(settings.pool.first.value);
  constants.pool_mask = htonl(~(settings.pool.size() - 1));
  constants.ticks_per_second = ticks_per_second();
  constants.has_ipv6 = settings.pool6 ? 1 : 0;
  constants.hands_over_ipv6 = hands_over_ipv6 ? 1 : 0;
  if (settings.pool6) {
    std::memcpy(const_cast<__u32*>(constants.ipv6_prefix), settings.pool6->octets.data(),
                settings.pool6->octets.size());
  }
}

int hear_silence(void* silent, void* data, std::size_t size) {
  mutua_silence silence{};
  if (size < sizeof silence) return 0;
  std::memcpy(&silence, data, sizeof silence);
  static_cast<std::vector<mutua_silence>*>(silent)->push_back(silence);
  return 0;
}

SocketAddress synthetic_of(const mutua_service_key& service) {
  return Ipv4{ntohl(service.address)}.with_port(ntohs(service.port));
}

}  // namespace

Result<std::unique_ptr<KernelRedirect>> KernelRedirect::create(
    const KernelRedirectSettings& settings) {
  libbpf_set_print(log_library);
  const std::string what = "redirect in the kernel, cgroup " + settings.cgroup.string();
  const UniqueFd cgroup(open(settings.cgroup.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!cgroup) return errno_error(errno, what);
  auto programs = std::make_unique<Programs>();
  programs->skeleton = redirect_bpf__open();
  if (programs->skeleton == nullptr) return errno_error(errno, what + ": open the programs");
  programs->interfaces = TRY(PeerInterfaces::create());
  if (settings.pool6) {
    if (auto detour = LoopbackDetour::make()) {
      programs->detour.emplace(std::move(*detour));
    } else {
      log::warning("kernel_redirect.ipv6_unavailable", {{"cause", detour.error().message()}});
    }
  }
  describe_world(*programs->skeleton, settings, TRY(own_network_namespace()),
                 programs->detour.has_value());
  if (const int problem = redirect_bpf__load(programs->skeleton); problem != 0)
    return errno_error(-problem, what + ": load the programs");
  const auto skip = [](void*, void*, std::size_t) { return 0; };
  programs->failures =
      ring_buffer__new(bpf_map__fd(programs->skeleton->maps.failures), skip, nullptr, nullptr);
  if (programs->failures == nullptr ||
      ring_buffer__add(programs->failures, bpf_map__fd(programs->skeleton->maps.silences),
                       hear_silence, &programs->silent) != 0)
    return errno_error(errno, what + ": hear of failures");
  const UniqueFd network(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, programs->skeleton->obj) {
    if (bpf_program__type(program) == BPF_PROG_TYPE_SCHED_CLS) continue;  // see can_lead_to()
    const bool of_namespace = bpf_program__type(program) == BPF_PROG_TYPE_SK_LOOKUP;
    bpf_link* link = of_namespace ? bpf_program__attach_netns(program, network.get())
                                  : bpf_program__attach_cgroup(program, cgroup.get());
    if (link == nullptr) return errno_error(errno, what + ": attach " + bpf_program__name(program));
    programs->links.push_back(link);
  }
  IngressProgram::sweep();
  return std::unique_ptr<KernelRedirect>(new KernelRedirect(std::move(programs)));
}

KernelRedirect::KernelRedirect(std::unique_ptr<Programs> programs)
    : programs_(std::move(programs)) {}
KernelRedirect::~KernelRedirect() = default;

Result<void> KernelRedirect::bring_to(const Relay::Gates& gates) {
  const int map = bpf_map__fd(programs_->skeleton->maps.gates);
  const std::array<std::pair<std::uint32_t, int>, MUTUA_GATES> sockets = {{
      {MUTUA_GATE_IPV4, gates.ipv4},
      {MUTUA_GATE_IPV6, gates.ipv6},
      {MUTUA_GATE_HANDED_IPV4, gates.handed_ipv4},
      {MUTUA_GATE_HANDED_IPV6, gates.handed_ipv6},
  }};
  for (const auto& [gate, socket] : sockets) {
    const auto value = static_cast<std::uint64_t>(socket);
    if (bpf_map_update_elem(map, &gate, &value, BPF_ANY) != 0)
      return errno_error(errno, "bring connections to the relay");
  }
  return {};
}

int KernelRedirect::change_descriptor() const { return programs_->interfaces->descriptor(); }

bool KernelRedirect::refresh() {
  auto& hearing = programs_->hearing;
  const bool changed = programs_->interfaces->refresh();
  const SteadyTime now = std::chrono::steady_clock::now();
  for (auto one = hearing.begin(); one != hearing.end();) {
    std::array<char, IF_NAMESIZE> name{};
    const bool is_gone = changed && if_indextoname(one->first, name.data()) == nullptr;
    // What could not be attached is tried again when something is different.
    const bool again = changed && !one->second.program;
    if (is_gone || again || now - one->second.wanted_at > kUnusedHearing) {
      one = hearing.erase(one);
    } else {
      ++one;
    }
  }
  return changed;
}

bool KernelRedirect::can_lead_to(const SocketAddress& peer) {
  if (peer.family() == AF_INET6 && !programs_->detour) return false;
  const auto interface = programs_->interfaces->to(peer);
  if (!interface) return false;
  auto [one, is_new] = programs_->hearing.try_emplace(*interface);
  one->second.wanted_at = std::chrono::steady_clock::now();
  if (is_new) {
    const auto& found = programs_->skeleton->progs;
    auto attached = IngressProgram::attach(
        bpf_program__fd(has_ethernet_header(*interface) ? found.refused_ethernet
                                                        : found.refused_bare),
        *interface);
    if (attached) {
      one->second.program.emplace(std::move(*attached));
    } else {
      log::warning("kernel_redirect.deaf", {{"cause", attached.error().message()}});
    }
  }
  return one->second.program.has_value();
}

std::optional<SocketAddress> KernelRedirect::meant(const SocketAddress& client,
                                                   const SocketAddress& peer) {
  const mutua_flow flow{endpoint_of(client), endpoint_of(peer)};
  mutua_service_key service{};
  if (bpf_map_lookup_and_delete_elem(bpf_map__fd(programs_->skeleton->maps.handed_over), &flow,
                                     &service) != 0)
    return std::nullopt;
  ++programs_->handed_over;
  return synthetic_of(service);
}

std::vector<ConnectRedirect::StandIn> KernelRedirect::stand_ins() {
  std::vector<StandIn> made;
  for (const mutua_silence& silence : std::exchange(programs_->silent, {})) {
    auto socket = stand_in_for(silence);
    const auto client = address_of(silence.flow.client), peer = address_of(silence.flow.peer);
    if (!socket || !client || !peer ||
        bpf_map_update_elem(bpf_map__fd(programs_->skeleton->maps.handed_over), &silence.flow,
                            &silence.service, BPF_ANY) != 0) {
      log::warning("kernel_redirect.no_stand_in",
                   {{"cause", socket ? "no room" : socket.error().message()}});
      continue;
    }
    made.push_back({std::move(*socket), synthetic_of(silence.service), *client, *peer});
  }
  return made;
}

bool KernelRedirect::is_taken(const StandIn& stand_in) {
  const mutua_flow flow{endpoint_of(stand_in.client), endpoint_of(stand_in.peer)};
  if (bpf_map_delete_elem(bpf_map__fd(programs_->skeleton->maps.handed_over), &flow) == 0)
    return false;
  if (!stand_up(stand_in.socket.get())) return false;
  ++programs_->handed_over;
  return true;
}

ConnectRedirect::Cover KernelRedirect::cover() const {
  Cover cover;
  cover.handed_over = programs_->handed_over;
  for (const auto& [interface, hearing] : programs_->hearing) {
    std::array<char, IF_NAMESIZE> name{};
    if (hearing.program && if_indextoname(interface, name.data()) != nullptr)
      cover.interfaces.emplace_back(name.data());
  }
  return cover;
}

Result<void> KernelRedirect::serve(Ipv4 synthetic, std::uint16_t port) {
  const mutua_service_key key{htonl(synthetic.value), htons(port), 0};
  const std::uint8_t yes = 1;
  if (bpf_map_update_elem(bpf_map__fd(programs_->skeleton->maps.places), &key, &yes, BPF_ANY) == 0)
    return {};
  return errno_error(errno, "bring " + synthetic.with_port(port).to_text() + " to the relay");
}

void KernelRedirect::stop_serving(Ipv4 synthetic, std::uint16_t port) {
  const mutua_service_key key{htonl(synthetic.value), htons(port), 0};
  bpf_map_delete_elem(bpf_map__fd(programs_->skeleton->maps.places), &key);
}

Result<void> KernelRedirect::lead(Ipv4 synthetic, std::uint16_t port,
                                  const std::vector<Way>& ways) {
  const int map = bpf_map__fd(programs_->skeleton->maps.services);
  const mutua_service_key key{htonl(synthetic.value), htons(port), 0};
  if (ways.empty()) {
    bpf_map_delete_elem(map, &key);  // it may not have been there
    return {};
  }
  mutua_service service{};
  bpf_map_lookup_elem(map, &key, &service);  // for used_at
  service = {.used_at = service.used_at, .peer_count = 0, .unused = 0, .peers = {}};
  service.peer_count = static_cast<std::uint32_t>(std::min(ways.size(), kMostWays));
  for (std::size_t i = 0; i < service.peer_count; ++i) {
    service.peers[i].endpoint = endpoint_of(ways[i].peer);
    service.peers[i].syn_timeout_ms = static_cast<std::uint32_t>(ways[i].syn_timeout.count());
    service.peers[i].late_ms = static_cast<std::uint32_t>(ways[i].late.count());
    service.peers[i].overdue_ms = static_cast<std::uint32_t>(ways[i].overdue.count());
  }
  if (bpf_map_update_elem(map, &key, &service, BPF_ANY) == 0) return {};
  return errno_error(errno, "redirect " + synthetic.with_port(port).to_text());
}

std::optional<SteadyTime> KernelRedirect::used_at(Ipv4 synthetic, std::uint16_t port) const {
  const mutua_service_key key{htonl(synthetic.value), htons(port), 0};
  mutua_service service{};
  if (bpf_map_lookup_elem(bpf_map__fd(programs_->skeleton->maps.services), &key, &service) != 0 ||
      service.used_at == 0)
    return std::nullopt;
  // steady_clock is CLOCK_MONOTONIC, which bpf_ktime_get_ns() tells, too.
  return SteadyTime(std::chrono::nanoseconds(service.used_at));
}

std::optional<ConnectRedirect::Report> KernelRedirect::report_of(const SocketAddress& peer) const {
  const mutua_endpoint key = endpoint_of(peer);
  mutua_peer_state state{};
  if (bpf_map_lookup_elem(bpf_map__fd(programs_->skeleton->maps.peers), &key, &state) != 0)
    return std::nullopt;
  Report report;
  report.failures = state.failures;
  report.ends = state.closes;
  report.rtt = std::chrono::microseconds(state.rtt_us);
  report.suspicions = state.suspicions;
  report.late_answers = state.late_answers;
  report.late_rtt = std::chrono::microseconds(state.late_rtt_us);
  report.transfers = state.transfers;
  report.octets = state.octets;
  report.octets_per_second = static_cast<double>(state.octets_per_second);
  return report;
}

int KernelRedirect::failure_descriptor() const {
  return ring_buffer__epoll_fd(programs_->failures);
}

void KernelRedirect::acknowledge() { ring_buffer__consume(programs_->failures); }

std::filesystem::path cgroup_root_in(std::string_view mountinfo) {
  while (!mountinfo.empty()) {
    const auto end = std::min(mountinfo.find('\n'), mountinfo.size());
    const std::string_view line = mountinfo.substr(0, end);
    mountinfo.remove_prefix(std::min(end + 1, mountinfo.size()));
    // "31 23 0:26 / /sys/fs/cgroup rw,… - cgroup2 cgroup2 rw"
    if (line.find(" - cgroup2 ") == std::string_view::npos) continue;
    std::size_t begin = 0;
    for (int field = 0; field < 4 && begin != std::string_view::npos; ++field)
      begin = line.find(' ', begin + (field > 0 ? 1 : 0));
    if (begin == std::string_view::npos) continue;
    const std::string_view path = line.substr(begin + 1, line.find(' ', begin + 1) - begin - 1);
    if (!path.empty()) return std::string(path);
  }
  return {};
}

}  // namespace mutua::resolver
