#include "peer/vm/uml/uml_guest.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include "peer/vm/jail/ethernet.h"
#include "peer/vm/jail/system_calls.h"
#include "peer/vm/jail/take.h"
#include "peer/vm/uml/kernel_file.h"
#include "peer/vm/uml/mconsole.h"
#include "peer/vm/uml/snapshot_file.h"

namespace mutua::vm::uml {
namespace {

constexpr const char* kKernelName = "linux";
constexpr const char* kBaseName = "base.img";
constexpr const char* kScratchName = "scratch.cow";
constexpr const char* kMemoryName = "memory.snapshot";
constexpr const char* kMconsoleSocket = "/tmp/machine/mconsole";
constexpr std::chrono::milliseconds kMconsoleDeadline{10'000};

// Beside the guest's memory, /tmp holds UML's pid file and socket.
constexpr std::uint64_t kTmpSlackBytes = 4 << 20;

// The kernel checks its snapshot again, with the processor and its own addresses; this needs no
// process yet, and knows what the spec says.
Result<void> check_snapshot(const MachineSpec& spec) {
  const SnapshotFile file = TRY(SnapshotFile::open(*spec.memory_snapshot));
  const SnapshotHeader& header = file.header();
  const auto refuse = [&spec](const char* what, const std::string& has, const std::string& wanted) {
    return errorf("snapshot %s: %s %s, not %s", spec.memory_snapshot->c_str(), what, has.c_str(),
                  wanted.c_str());
  };
  const std::string build_id = TRY(read_kernel_build_id(spec.kernel));
  if (header.build_id_text() != build_id) {
    return refuse("taken by the kernel with build id", header.build_id_text(), build_id);
  }
  if (header.memory_bytes() != spec.memory_bytes) {
    return refuse("its machine's bytes of memory are", std::to_string(header.memory_bytes()),
                  std::to_string(spec.memory_bytes));
  }
  // Another address would have no network: frames and ports go by the spec's.
  const std::string address = header.boot_argument("mutua.address").value_or("unknown");
  if (address != spec.address + "/8") {
    return refuse("its machine's address is", address, spec.address + "/8");
  }
  return {};
}

// What a kernel needs to know of its jail, whether it boots or resumes.
std::vector<std::string> jail_arguments(const MachineSpec& spec) {
  std::vector<std::string> arguments = {
      std::string("/") + kKernelName,
      "umid=machine",
      "uml_dir=/tmp/",
      std::string("ubd0=/") + kScratchName + ",/" + kBaseName,
      "mutua.hostname=" + spec.name,
  };
  if (!spec.instance.empty()) arguments.push_back("mutua.instance=" + spec.instance);
  if (!spec.agent.empty()) arguments.push_back("mutua.agent=" + spec.agent);
  // Without a way out nobody answers there, and each look-up of the guest's would wait in vain.
  if (spec.outbound == Outbound::yes)
    arguments.push_back("mutua.dns=" + print_address(kDnsAddress));
  return arguments;
}

std::string network_argument() {
  return "vec0:transport=fd,fd=" + std::to_string(kEthernetInGuest);
}

// The rest is in the snapshot: memory size, MAC, the guest's own settings.
std::vector<std::string> resume_arguments(const MachineSpec& spec) {
  std::vector<std::string> arguments = jail_arguments(spec);
  arguments.insert(arguments.end(),
                   {std::string("restore=/") + kMemoryName, network_argument(), "quiet"});
  return arguments;
}

std::vector<std::string> boot_arguments(const MachineSpec& spec) {
  std::vector<std::string> arguments = jail_arguments(spec);
  arguments.insert(
      arguments.end(),
      {
          "mem=" + std::to_string(spec.memory_bytes >> 10) + 'K',
          "root=/dev/ubda",
          "rw",
          "init=/init",
          "console=tty0",
          "con0=fd:0,fd:1",
          "con=null",
          // An exit for every way down; a reboot would need files that the jail lacks.
          "noreboot",
          network_argument() + ",mac=" + print_mac(guest_mac(parse_address(spec.address))),
          "mutua.address=" + spec.address + "/8",
          "mutua.gateway=" + print_address(kGatewayAddress),
      });
  return arguments;
}

}  // namespace

Result<void> UmlGuest::prepare(const MachineSpec& spec) {
  if (spec.memory_snapshot) TRY(check_snapshot(spec));
  return {};
}

int UmlGuest::ethernet_type() const { return SOCK_SEQPACKET; }

Result<void> UmlGuest::check_result(const std::filesystem::path& memory_file,
                                    const SnapshotReport& report) const {
  const SnapshotFile file = TRY(SnapshotFile::open(memory_file));
  if (file.header().page_count != report.pages || file.header().file_bytes != report.bytes) {
    return errorf("the guest's kernel reports another snapshot than it wrote");
  }
  return {};
}

JailRoot UmlGuest::root(const MachineSpec& spec) const {
  JailRoot root;
  root.run_dir = spec.run_dir;
  root.files = {
      {spec.kernel, kKernelName, false, true},
      {spec.base_disk, kBaseName, false, false},
      {spec.scratch_disk, kScratchName, true, false},
  };
  if (spec.memory_snapshot)
    root.files.push_back({*spec.memory_snapshot, kMemoryName, false, false});
  root.folders = {kSnapshotFolder};
  root.tmp_bytes = spec.memory_bytes + kTmpSlackBytes;
  return root;
}

Result<UniqueFd> UmlGuest::watch_calls() const { return watch_machine_calls(); }

std::vector<std::string> UmlGuest::arguments(const MachineSpec& spec) const {
  return spec.memory_snapshot ? resume_arguments(spec) : boot_arguments(spec);
}

std::vector<std::string> UmlGuest::environment() const { return {"TMPDIR=/tmp", "HOME=/tmp"}; }

Result<void> UmlGuest::ask_to_stop() {
  TRY(mconsole_request(kMconsoleSocket, "cad", kMconsoleDeadline));
  return {};
}

Result<std::string> UmlGuest::take(SnapshotRequest::After after, std::chrono::milliseconds deadline,
                                   int ended) {
  const std::string command = std::string("snapshot ") + kSnapshotMemory +
                              " copy=0:" + kSnapshotDisk +
                              (after == SnapshotRequest::After::leave ? " final" : "");
  return mconsole_request(kMconsoleSocket, command, deadline, ended);
}

std::string UmlGuest::describe_end(int status) {
  return WIFEXITED(status) ? "exit " + std::to_string(WEXITSTATUS(status))
                           : "signal " + std::to_string(WTERMSIG(status));
}

}  // namespace mutua::vm::uml
