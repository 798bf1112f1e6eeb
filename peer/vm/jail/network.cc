#include "peer/vm/jail/network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <libslirp.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <memory>

#include "peer/vm/jail/ethernet.h"
#include "peer/vm/jail/frame_filter.h"
#include "peer/vm/jail/go.h"
#include "peer/vm/jail/host_port.h"
#include "peer/vm/jail/system_calls.h"
#include "peer/vm/jail/udp_forward.h"
#include "peer/vm/spec_text.h"

namespace mutua::vm {
namespace {

constexpr std::uint64_t kOpenFiles = 2048;
constexpr int kEthernetBufferBytes = 1 << 20;
// Frames a turn, so that a flood from the guest does not starve the sockets.
constexpr int kBatch = 64;
constexpr std::uint32_t kLongestWaitMilliseconds = 1000;
constexpr int kGuestProbeMilliseconds = 10;

std::uint64_t now_nanoseconds() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

std::set<std::uint32_t> own_addresses() {
  std::set<std::uint32_t> addresses;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return addresses;
  for (const ifaddrs* entry = list; entry; entry = entry->ifa_next) {
    if (!entry->ifa_addr || entry->ifa_addr->sa_family != AF_INET) continue;
    sockaddr_in address{};
    std::copy_n(reinterpret_cast<const char*>(entry->ifa_addr), sizeof address,
                reinterpret_cast<char*>(&address));
    addresses.insert(ntohl(address.sin_addr.s_addr));
  }
  ::freeifaddrs(list);
  return addresses;
}

FrameFilter::Policy policy_of(const MachineSpec& spec) {
  FrameFilter::Policy policy;
  policy.guest_address = parse_address(spec.address);
  policy.outbound = spec.outbound;
  policy.host_addresses = own_addresses();
  for (const PortMapping& port : spec.ports) {
    if (port.protocol == Protocol::udp) policy.udp_ports.insert(port.guest_port);
  }
  return policy;
}

in_addr network_order(std::uint32_t address) { return in_addr{htonl(address)}; }

// libslirp's timers serve IPv6 router advertisements alone, and IPv6 is off.
void* new_timer(SlirpTimerCb, void*, void*) { return nullptr; }
void free_timer(void*, void*) {}
void set_timer(void*, std::int64_t, void*) {}
void ignore_descriptor(int, void*) {}
void ignore_wakeup(void*) {}
void ignore_guest_error(const char*, void*) {}

class Network {
 public:
  Network(const MachineSpec& spec, UniqueFd ethernet)
      : spec_(spec),
        guest_(parse_address(spec.address)),
        filter_(policy_of(spec)),
        ethernet_(std::move(ethernet)) {}

  Result<void> listen() {
    slirp_.reset(new_slirp());
    if (!slirp_) return errorf("libslirp refused its configuration");
    // libslirp learns the guest's address before the guest has said a word: the first SYN passes.
    const Bytes hello = gratuitous_arp(guest_, guest_mac(guest_));
    ::slirp_input(slirp_.get(), hello.data(), static_cast<int>(hello.size()));
    for (const PortMapping& mapping : spec_.ports) {
      bound_.push_back(mapping.protocol == Protocol::tcp ? TRY(listen_tcp(mapping))
                                                         : TRY(listen_udp(mapping)));
    }
    return {};
  }

  const std::vector<BoundPort>& bound() const { return bound_; }

  // A connection that reaches a guest without a network yet would hang for seconds. So nothing is
  // accepted before the guest answers an ARP request; meanwhile clients wait in the host's queue.
  void wait_for_guest(const Channel& warden) {
    while (!guest_lives_) {
      int unread = 0;
      (void)::ioctl(ethernet_.get(), SIOCOUTQ, &unread);
      if (unread == 0) send_to_guest(arp_request(guest_));
      pollfd events[] = {{warden.fd(), POLLIN, 0}, {ethernet_.get(), POLLIN, 0}};
      (void)::poll(events, 2, kGuestProbeMilliseconds);
      if (events[0].revents != 0) ::_exit(0);
      if (events[1].revents != 0) take_frames();
    }
    (void)warden.send("alive");
  }

  [[noreturn]] void serve(const Channel& warden) {
    wait_for_guest(warden);
    for (;;) {
      polled_.clear();
      polled_.push_back({warden.fd(), POLLIN, 0});
      polled_.push_back({ethernet_.get(), POLLIN, 0});
      for (const UdpForward& forward : udp_) polled_.push_back({forward.fd(), POLLIN, 0});
      std::uint32_t timeout = kLongestWaitMilliseconds;
      ::slirp_pollfds_fill(slirp_.get(), &timeout, add_poll, this);
      const int ready = ::poll(polled_.data(), polled_.size(), static_cast<int>(timeout));
      if (ready > 0 && polled_[0].revents != 0) ::_exit(0);
      if (ready > 0) take_frames();
      for (std::size_t i = 0; ready > 0 && i < udp_.size(); ++i) {
        if (polled_[2 + i].revents == 0) continue;
        udp_[i].receive([this](BytesView frame) { send_to_guest(frame); });
      }
      ::slirp_pollfds_poll(slirp_.get(), ready < 0 ? 1 : 0, poll_result, this);
    }
  }

 private:
  struct SlirpEnd {
    void operator()(Slirp* slirp) const { ::slirp_cleanup(slirp); }
  };

  Slirp* new_slirp() {
    static constexpr SlirpCb callbacks = {
        .send_packet = send_packet,
        .guest_error = ignore_guest_error,
        .clock_get_ns = [](void*) { return static_cast<std::int64_t>(now_nanoseconds()); },
        .timer_new = new_timer,
        .timer_free = free_timer,
        .timer_mod = set_timer,
        .register_poll_fd = ignore_descriptor,
        .unregister_poll_fd = ignore_descriptor,
        .notify = ignore_wakeup,
        .init_completed = nullptr,
        .timer_new_opaque = nullptr,
    };
    const bool outbound = spec_.outbound == Outbound::yes;
    SlirpConfig config{};
    config.version = 4;
    config.restricted = outbound ? 0 : 1;
    config.in_enabled = true;
    config.vnetwork = network_order(kNetwork);
    config.vnetmask = network_order(kNetworkMask);
    config.vhost = network_order(kGatewayAddress);
    config.vnameserver = network_order(kDnsAddress);
    config.vdhcp_start = network_order(guest_);
    config.disable_host_loopback = true;
    config.disable_dns = !outbound;
    config.disable_dhcp = true;
    return ::slirp_new(&config, &callbacks, this);
  }

  Result<BoundPort> listen_tcp(const PortMapping& mapping) {
    in_addr host{};
    inet_pton(AF_INET, mapping.host_address.c_str(), &host);
    const auto bind_port = [&](std::uint16_t port) -> Result<std::uint16_t> {
      if (port == 0) port = TRY(find_free_port(host));
      if (::slirp_add_hostfwd(slirp_.get(), 0, host, port, network_order(guest_),
                              mapping.guest_port) != 0) {
        return errno_error(errno, "listen");
      }
      return port;
    };
    BoundPort bound;
    bound.protocol = Protocol::tcp;
    bound.host_address = mapping.host_address;
    bound.host_port = TRY(choose_host_port(mapping, bind_port));
    bound.guest_port = mapping.guest_port;
    return bound;
  }

  // libslirp does not tell which port it was given, so the host's kernel is asked for one first.
  static Result<std::uint16_t> find_free_port(in_addr host) {
    const UniqueFd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr = host;
    socklen_t size = sizeof address;
    if (!probe || ::bind(probe.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::getsockname(probe.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      return errno_error(errno, "find a free port");
    }
    return ntohs(address.sin_port);
  }

  Result<BoundPort> listen_udp(const PortMapping& mapping) {
    udp_.push_back(TRY(UdpForward::open(mapping, guest_)));
    return udp_.back().bound();
  }

  void take_frames() {
    std::array<std::uint8_t, 65536> frame;
    for (int count = 0; count < kBatch; ++count) {
      const ssize_t got = ::recv(ethernet_.get(), frame.data(), frame.size(), MSG_DONTWAIT);
      if (got < 0) return;
      if (got == 0) ::_exit(0);
      take_frame(BytesView(frame).first(static_cast<std::size_t>(got)));
    }
  }

  void take_frame(BytesView frame) {
    const auto verdict = filter_.judge(frame);
    guest_lives_ = guest_lives_ || verdict != FrameFilter::Verdict::drop;
    switch (verdict) {
      case FrameFilter::Verdict::drop:
      case FrameFilter::Verdict::sign_of_life:
        return;
      case FrameFilter::Verdict::to_network:
        return ::slirp_input(slirp_.get(), frame.data(), static_cast<int>(frame.size()));
      case FrameFilter::Verdict::answer_arp:
        return send_to_guest(arp_reply(*parse_arp(frame), gateway_mac()));
      case FrameFilter::Verdict::to_udp_clients: {
        const auto packet = parse_ipv4_frame(frame);
        const auto datagram = parse_udp(packet->payload);
        for (UdpForward& forward : udp_) {
          if (forward.bound().guest_port == datagram->source_port) {
            forward.send(*packet, *datagram);
          }
        }
        return;
      }
    }
  }

  // A guest that does not read loses frames, as on a wire.
  void send_to_guest(BytesView frame) {
    (void)::send(ethernet_.get(), frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  static ssize_t send_packet(const void* bytes, std::size_t size, void* self) {
    static_cast<Network*>(self)->send_to_guest({static_cast<const std::uint8_t*>(bytes), size});
    return static_cast<ssize_t>(size);
  }

  static int add_poll(int fd, int events, void* self) {
    auto& polled = static_cast<Network*>(self)->polled_;
    short wanted = 0;
    if ((events & SLIRP_POLL_IN) != 0) wanted = static_cast<short>(wanted | POLLIN);
    if ((events & SLIRP_POLL_OUT) != 0) wanted = static_cast<short>(wanted | POLLOUT);
    if ((events & SLIRP_POLL_PRI) != 0) wanted = static_cast<short>(wanted | POLLPRI);
    polled.push_back({fd, wanted, 0});
    return static_cast<int>(polled.size() - 1);
  }

  static int poll_result(int index, void* self) {
    const auto& polled = static_cast<Network*>(self)->polled_;
    const short seen = polled[static_cast<std::size_t>(index)].revents;
    int events = 0;
    if ((seen & POLLIN) != 0) events |= SLIRP_POLL_IN;
    if ((seen & POLLOUT) != 0) events |= SLIRP_POLL_OUT;
    if ((seen & POLLPRI) != 0) events |= SLIRP_POLL_PRI;
    if ((seen & POLLERR) != 0) events |= SLIRP_POLL_ERR;
    if ((seen & POLLHUP) != 0) events |= SLIRP_POLL_HUP;
    return events;
  }

  const MachineSpec& spec_;
  const std::uint32_t guest_;
  const FrameFilter filter_;
  UniqueFd ethernet_;
  bool guest_lives_ = false;
  std::vector<UdpForward> udp_;
  std::vector<BoundPort> bound_;
  std::vector<pollfd> polled_;
  std::unique_ptr<Slirp, SlirpEnd> slirp_;
};

// The host's nameservers are all that a guest with outbound access needs to know of the host.
std::string read_nameservers() {
  std::ifstream file("/etc/resolv.conf");
  std::string lines;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("nameserver ")) lines += line + '\n';
  }
  return lines;
}

Result<void> enter_jail(const MachineSpec& spec, const JailUser& user) {
  JailRoot root;
  root.run_dir = spec.run_dir;
  if (spec.outbound == Outbound::yes) root.texts = {{"etc/resolv.conf", read_nameservers()}};
  TRY(enter_root(root, user));
  TRY(limit_resource(RLIMIT_NOFILE, kOpenFiles));
  TRY(limit_resource(RLIMIT_CORE, 0));
  TRY(limit_resource(RLIMIT_NPROC, 1));
  TRY(limit_resource(RLIMIT_FSIZE, 0));
  return {};
}

Result<void> run(const JailUser& user, const Channel& warden, UniqueFd ethernet) {
  TRY(die_with_parent());
  const int kept[] = {warden.fd(), ethernet.get()};
  close_all_but(kept);
  const MachineSpec spec = TRY(wait_for_go(warden));
  // What libslirp has to say about a guest's frames is the guest's to choose: nobody hears it.
  const UniqueFd nowhere(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!nowhere || ::dup2(nowhere.get(), 0) < 0 || ::dup2(nowhere.get(), 1) < 0 ||
      ::dup2(nowhere.get(), 2) < 0) {
    return errno_error(errno, "redirect the network's output");
  }
  (void)::setsockopt(ethernet.get(), SOL_SOCKET, SO_SNDBUF, &kEthernetBufferBytes,
                     sizeof kEthernetBufferBytes);
  TRY(enter_jail(spec, user));
  // The ports are bound with the daemon's rights, before the first byte of a stranger is read.
  Network network(spec, std::move(ethernet));
  TRY(network.listen());
  TRY(drop_privileges(user));
  TRY(die_with_parent());
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  TRY(allow_network_calls(spec.outbound == Outbound::yes ? Connects::yes : Connects::no));

  std::string ports;
  for (const BoundPort& port : network.bound()) {
    if (!ports.empty()) ports += '\n';
    ports += to_text(port);
  }
  (void)warden.send("bound", ports);
  network.serve(warden);
}

}  // namespace

void run_network(const JailUser& user, Channel warden, UniqueFd ethernet) {
  const auto outcome = run(user, warden, std::move(ethernet));
  (void)warden.send("failed", outcome.ok() ? "the network returned" : outcome.error().message());
  ::_exit(1);
}

}  // namespace mutua::vm
