#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "resolver/redirect/connect_redirect.h"
#include "resolver/redirect/ipv6_prefix.h"
#include "resolver/redirect/relay.h"

namespace mutua::resolver {

struct KernelRedirectSettings {
  std::filesystem::path cgroup;  // whose programs are redirected, with all groups below it
  Ipv4Range pool;
  std::optional<Ipv6Prefix> pool6;
};

// ConnectRedirect in the kernel: the programs of redirect.bpf.c, attached to a cgroup and to the
// interfaces that peers are reached by. Programs of that cgroup which live in another network
// namespace than this process are left alone; connections that nobody leads come to the relay's
// gates in the whole network namespace. Nothing is pinned: what is attached ends with the object,
// and with the process, however that ends (but see IngressProgram and LoopbackDetour). Needs
// CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, and the second version of cgroups.
class KernelRedirect final : public ConnectRedirect {
 public:
  static Result<std::unique_ptr<KernelRedirect>> create(const KernelRedirectSettings& settings);
  ~KernelRedirect() override;

  Result<void> lead(Ipv4 synthetic, std::uint16_t port, const std::vector<Way>& ways) override;
  std::optional<SteadyTime> used_at(Ipv4 synthetic, std::uint16_t port) const override;

  // Where connections of serve() come to; `gates` stay open as long as the redirect.
  Result<void> bring_to(const Relay::Gates& gates);

  bool refresh() override;
  int change_descriptor() const override;
  bool can_lead_to(const SocketAddress& peer) override;
  std::optional<SocketAddress> meant(const SocketAddress& client,
                                     const SocketAddress& peer) override;
  std::vector<StandIn> stand_ins() override;
  bool is_taken(const StandIn& stand_in) override;
  Cover cover() const override;

  Result<void> serve(Ipv4 synthetic, std::uint16_t port) override;
  void stop_serving(Ipv4 synthetic, std::uint16_t port) override;
  std::optional<Report> report_of(const SocketAddress& peer) const override;
  int failure_descriptor() const override;
  void acknowledge() override;

 private:
  struct Programs;
  explicit KernelRedirect(std::unique_ptr<Programs> programs);
  const std::unique_ptr<Programs> programs_;
};

// Where the second version of cgroups is mounted, as `mountinfo` (proc(5)) says; empty where it is
// not. PURE.
std::filesystem::path cgroup_root_in(std::string_view mountinfo);

}  // namespace mutua::resolver
