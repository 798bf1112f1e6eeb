#include "resolver/install/service_unit.h"

#include <unistd.h>

#include <cerrno>

#include "base/durable_file.h"

namespace mutua::resolver {
namespace {

constexpr std::size_t kLargestUnit = 64 * 1024;
constexpr const char* kName = "mutua-resolver.service";

std::filesystem::path unit_in(const std::filesystem::path& root) {
  return root / "etc/systemd/system" / kName;
}

std::filesystem::path wish_in(const std::filesystem::path& root) {
  return root / "etc/systemd/system/multi-user.target.wants" / kName;
}

Result<bool> is_placed(const std::filesystem::path& root, const std::filesystem::path& programs) {
  std::error_code problem;
  if (!std::filesystem::exists(unit_in(root), problem)) return false;
  const Bytes found = TRY(read_file(unit_in(root), kLargestUnit));
  if (as_text(found) != service_unit(programs))
    return Error(unit_in(root).string() + " is not as `mutua resolver install` writes it");
  return true;
}

}  // namespace

std::string service_unit(const std::filesystem::path& programs) {
  return R"(# Written by `mutua resolver install --unit`.
[Unit]
Description=Mutua: the services of a federation by their names
Documentation=man:mutua-resolver(8)
After=network.target
Before=nss-lookup.target
Wants=nss-lookup.target
# It comes back however often it ends.
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart=)" +
         (programs / "mutua-resolver").string() +
         R"( --config /etc/mutua/resolver.conf
Restart=on-failure
RestartSec=1
TimeoutStopSec=10
LimitNOFILE=524288

# What it owns is in /run/mutua (and in its state folder, with a mirror). The kernel's help takes
# CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; ports below 1024 take CAP_NET_BIND_SERVICE.
RuntimeDirectory=mutua
RuntimeDirectoryPreserve=yes
StateDirectory=mutua-resolver
CapabilityBoundingSet=CAP_BPF CAP_NET_ADMIN CAP_PERFMON CAP_NET_BIND_SERVICE
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
PrivateTmp=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service bpf

[Install]
WantedBy=multi-user.target
)";
}

Result<bool> install_unit(const std::filesystem::path& root,
                          const std::filesystem::path& programs) {
  const bool was_there = TRY(is_placed(root, programs));
  std::error_code problem;
  std::filesystem::create_directories(wish_in(root).parent_path(), problem);
  if (problem) return Error("enable " + std::string(kName) + ": " + problem.message());
  if (!was_there) TRY(write_file_durably(unit_in(root), as_bytes(service_unit(programs))));
  const std::string target = "/etc/systemd/system/" + std::string(kName);
  if (symlink(target.c_str(), wish_in(root).c_str()) != 0 && errno != EEXIST)
    return errno_error(errno, "enable " + std::string(kName));
  return !was_there;
}

Result<bool> uninstall_unit(const std::filesystem::path& root,
                            const std::filesystem::path& programs) {
  if (!TRY(is_placed(root, programs))) return false;
  unlink(wish_in(root).c_str());
  if (unlink(unit_in(root).c_str()) != 0)
    return errno_error(errno, "remove " + unit_in(root).string());
  return true;
}

}  // namespace mutua::resolver
