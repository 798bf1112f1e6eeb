#include "resolver/kernel_redirect/kernel_redirect.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <redirect.skel.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <ctime>

#include "base/log.h"
#include "base/unique_fd.h"
#include "resolver/kernel_redirect/redirect_maps.h"

namespace mutua::resolver {

struct KernelRedirect::Programs {
  redirect_bpf* skeleton = nullptr;
  std::vector<bpf_link*> links;
  ring_buffer* failures = nullptr;

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

mutua_endpoint endpoint_of(const SocketAddress& address) {
  mutua_endpoint endpoint{};
  const BytesView octets = address.address_octets();
  std::copy(octets.begin(), octets.end(), endpoint.address);
  endpoint.port = htons(address.port());
  endpoint.family = static_cast<std::uint16_t>(address.family());
  return endpoint;
}

void describe_world(redirect_bpf& skeleton, const KernelRedirectSettings& settings,
                    std::uint64_t network_namespace) {
  auto& constants = *skeleton.rodata;
  constants.netns_cookie = network_namespace;
  constants.pool_network = htonl(settings.pool.first.value);
  constants.pool_mask = htonl(~(settings.pool.size() - 1));
  constants.ticks_per_second = ticks_per_second();
  constants.has_ipv6 = settings.pool6.has_value();
  if (settings.pool6) {
    std::memcpy(const_cast<__u32*>(constants.ipv6_prefix), settings.pool6->octets.data(),
                settings.pool6->octets.size());
  }
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
  describe_world(*programs->skeleton, settings, TRY(own_network_namespace()));
  if (const int problem = redirect_bpf__load(programs->skeleton); problem != 0)
    return errno_error(-problem, what + ": load the programs");
  const auto skip = [](void*, void*, std::size_t) { return 0; };
  programs->failures =
      ring_buffer__new(bpf_map__fd(programs->skeleton->maps.failures), skip, nullptr, nullptr);
  if (programs->failures == nullptr) return errno_error(errno, what + ": hear of failures");
  const UniqueFd network(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, programs->skeleton->obj) {
    const bool of_namespace = bpf_program__type(program) == BPF_PROG_TYPE_SK_LOOKUP;
    bpf_link* link = of_namespace ? bpf_program__attach_netns(program, network.get())
                                  : bpf_program__attach_cgroup(program, cgroup.get());
    if (link == nullptr) return errno_error(errno, what + ": attach " + bpf_program__name(program));
    programs->links.push_back(link);
  }
  return std::unique_ptr<KernelRedirect>(new KernelRedirect(std::move(programs)));
}

KernelRedirect::KernelRedirect(std::unique_ptr<Programs> programs)
    : programs_(std::move(programs)) {}
KernelRedirect::~KernelRedirect() = default;

Result<void> KernelRedirect::bring_to(const Relay::Gates& gates) {
  const int map = bpf_map__fd(programs_->skeleton->maps.gates);
  const std::array<std::uint64_t, 2> sockets = {static_cast<std::uint64_t>(gates.ipv4),
                                                static_cast<std::uint64_t>(gates.ipv6)};
  for (std::uint32_t i = 0; i < sockets.size(); ++i) {
    if (bpf_map_update_elem(map, &i, &sockets[i], BPF_ANY) != 0)
      return errno_error(errno, "bring connections to the relay");
  }
  return {};
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
  service.peer_count = static_cast<std::uint32_t>(std::min(ways.size(), kMostWays));
  for (std::size_t i = 0; i < service.peer_count; ++i) {
    service.peers[i].endpoint = endpoint_of(ways[i].peer);
    service.peers[i].syn_timeout_ms = static_cast<std::uint32_t>(ways[i].syn_timeout.count());
  }
  if (bpf_map_update_elem(map, &key, &service, BPF_ANY) == 0) return {};
  return errno_error(errno, "redirect " + synthetic.with_port(port).to_text());
}

std::optional<ConnectRedirect::Report> KernelRedirect::report_of(const SocketAddress& peer) const {
  const mutua_endpoint key = endpoint_of(peer);
  mutua_peer_state state{};
  if (bpf_map_lookup_elem(bpf_map__fd(programs_->skeleton->maps.peers), &key, &state) != 0)
    return std::nullopt;
  return Report{state.failures, state.closes, std::chrono::microseconds(state.rtt_us)};
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
