#include "authority/xdp/xdp_interface.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <questions.skel.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "authority/xdp/questions_maps.h"
#include "base/log.h"
#include "base/unique_fd.h"

namespace mutua::authority {
namespace {

// The libraries explain a refusal in many lines; ours says what follows from it.
int log_library(libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN) return 0;
  char text[300];
  const int length = std::vsnprintf(text, sizeof text, format, arguments);
  log::debug("xdp.library", {{"says", text}});
  return length;
}

mutua_xdp_endpoint key_of(const SocketAddress& address) {
  mutua_xdp_endpoint key{};
  const BytesView octets = address.address_octets();
  if (octets.size() == 4) key.address[10] = key.address[11] = 0xff;
  std::copy(octets.begin(), octets.end(), key.address + sizeof key.address - octets.size());
  key.port = htons(address.port());
  return key;
}

std::uint32_t queues_of(const std::string& interface) {
  std::uint32_t count = 0;
  std::error_code failed;
  for (const auto& entry :
       std::filesystem::directory_iterator("/sys/class/net/" + interface + "/queues", failed))
    if (entry.path().filename().string().starts_with("rx-")) ++count;
  return std::clamp(count, 1u, MUTUA_XDP_QUEUES);
}

struct Programs {
  questions_bpf* skeleton = nullptr;

  Programs() = default;
  Programs(const Programs&) = delete;
  Programs& operator=(const Programs&) = delete;
  ~Programs() { questions_bpf__destroy(skeleton); }
};

class LoadedXdpInterface final : public XdpInterface {
 public:
  explicit LoadedXdpInterface(std::string name) : name_(std::move(name)) {}

  Result<void> open(const std::vector<SocketAddress>& endpoints) {
    libbpf_set_print(log_library);
    programs_.skeleton = questions_bpf__open_and_load();
    if (!programs_.skeleton) return errno_error(errno, "load the XDP program");
    for (const SocketAddress& address : endpoints) {
      const mutua_xdp_endpoint key = key_of(address);
      const std::uint8_t here = 1;
      if (bpf_map_update_elem(map(programs_.skeleton->maps.endpoints), &key, &here, BPF_ANY) != 0)
        return errno_error(errno, "listen by XDP on " + address.to_text());
    }
    for (std::uint32_t queue = 0; queue < queues_of(name_); ++queue)
      sockets_.push_back(TRY(XdpSocket::create(name_, queue)));
    return attach();
  }

  std::vector<std::unique_ptr<XdpSocket>> take_sockets() override {
    for (const auto& socket : sockets_) descriptors_.push_back(socket->descriptor());
    return std::exchange(sockets_, {});
  }

  Result<void> activate() override {
    for (std::uint32_t queue = 0; queue < descriptors_.size(); ++queue)
      if (bpf_map_update_elem(map(programs_.skeleton->maps.sockets), &queue, &descriptors_[queue],
                              BPF_ANY) != 0)
        return errno_error(errno, "redirect questions of " + name_);
    return {};
  }

  bool is_native() const override { return is_native_; }

 private:
  static int map(const bpf_map* of) { return bpf_map__fd(of); }

  // A link, not a program that stays: whatever ends this process frees the interface.
  Result<void> attach() {
    const auto index = static_cast<int>(::if_nametoindex(name_.c_str()));
    const int program = bpf_program__fd(programs_.skeleton->progs.questions);
    bpf_link_create_opts options{};
    options.sz = sizeof options;
    for (const std::uint32_t mode : {XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE}) {
      options.flags = mode;
      link_.reset(bpf_link_create(program, index, BPF_XDP, &options));
      is_native_ = mode == XDP_FLAGS_DRV_MODE;
      if (link_) return {};
    }
    return errno_error(errno, "attach the XDP program to " + name_);
  }

  const std::string name_;
  Programs programs_;
  UniqueFd link_;
  bool is_native_ = false;
  std::vector<std::unique_ptr<XdpSocket>> sockets_;
  std::vector<int> descriptors_;
};

}  // namespace

Result<std::string> XdpInterface::name_of(const SocketAddress& address) {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return errno_error(errno, "getifaddrs");
  std::string name;
  for (const ifaddrs* one = all; one && name.empty(); one = one->ifa_next) {
    const bool is_ip = one->ifa_addr && one->ifa_addr->sa_family == address.family();
    if (!is_ip) continue;
    const auto there = SocketAddress::from_sockaddr(one->ifa_addr, address.size());
    if (std::ranges::equal(there.address_octets(), address.address_octets())) name = one->ifa_name;
  }
  ::freeifaddrs(all);
  if (name.empty()) return Error("no interface has the address " + address.address_to_text());
  return name;
}

Result<std::unique_ptr<XdpInterface>> XdpInterface::create(
    const std::string& name, const std::vector<SocketAddress>& endpoints) {
  auto interface = std::make_unique<LoadedXdpInterface>(name);
  TRY(interface->open(endpoints));
  return std::unique_ptr<XdpInterface>(std::move(interface));
}

}  // namespace mutua::authority
