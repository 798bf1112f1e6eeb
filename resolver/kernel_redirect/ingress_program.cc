#include "resolver/kernel_redirect/ingress_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>

#include <cerrno>
#include <memory>

namespace mutua::resolver {
namespace {

constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);  // BPF_TCX_INGRESS, Linux 6.6
// Together they make the filter ours: "Mutu", and late among others.
constexpr std::uint32_t kHandle = 0x4d757475, kPriority = 0x7575;

bpf_tc_hook ingress_of(std::uint32_t interface) {
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = static_cast<int>(interface);
  hook.attach_point = BPF_TC_INGRESS;
  return hook;
}

bpf_tc_opts our_filter() {
  bpf_tc_opts options{};
  options.sz = sizeof options;
  options.handle = kHandle;
  options.priority = kPriority;
  return options;
}

void remove_filter(std::uint32_t interface) {
  const bpf_tc_hook hook = ingress_of(interface);
  const bpf_tc_opts options = our_filter();
  bpf_tc_detach(&hook, &options);
}

}  // namespace

Result<IngressProgram> IngressProgram::attach(int program, std::uint32_t interface, Way way) {
  if (way == Way::best) {
    UniqueFd link(bpf_link_create(program, static_cast<int>(interface), kTcxIngress, nullptr));
    if (link) return IngressProgram(std::move(link), 0);
  }
  bpf_tc_hook hook = ingress_of(interface);
  int problem = bpf_tc_hook_create(&hook);
  if (problem == 0 || problem == -EEXIST) {
    bpf_tc_opts options = our_filter();
    options.prog_fd = program;
    options.flags = BPF_TC_F_REPLACE;
    problem = bpf_tc_attach(&hook, &options);
  }
  if (problem == 0) return IngressProgram(UniqueFd(), interface);
  return errno_error(-problem, "see what interface " + std::to_string(interface) + " receives");
}

void IngressProgram::sweep() {
  const std::unique_ptr<struct if_nameindex, decltype(&if_freenameindex)> interfaces(
      if_nameindex(), if_freenameindex);
  if (!interfaces) return;
  for (const struct if_nameindex* one = interfaces.get(); one->if_index != 0; ++one)
    remove_filter(one->if_index);
}

IngressProgram::~IngressProgram() {
  if (filtered_ != 0) remove_filter(filtered_);
}

}  // namespace mutua::resolver
