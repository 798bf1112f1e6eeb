#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "peer/vm/jail/jail.h"
#include "peer/vm/machine.h"

namespace mutua::vm {

// Descriptors of a guest program; 0 to 2 are the console.
inline constexpr int kEthernetInGuest = 3;
inline constexpr int kControlInGuest = 4;

// What one engine runs inside a jail, and how that is spoken to. All else about a machine, its
// processes, its network and its limits, is the same for every engine. Made before anything is
// known of the machine; the keeper is a fork of the warden and so has an instance of its own.
class GuestProgram {
 public:
  virtual ~GuestProgram() = default;

  // In the warden. How the program begins a line of its output that tells why it does not run.
  virtual std::string_view complaint() const = 0;
  // SOCK_SEQPACKET or SOCK_DGRAM: one Ethernet frame a packet.
  virtual int ethernet_type() const = 0;
  // Of the host's memory, beside the guest's own and what every machine costs.
  virtual std::uint64_t overhead_bytes() const = 0;
  // A file that the jail called a snapshot's memory must be one, and what was reported.
  virtual Result<void> check_result(const std::filesystem::path& memory_file,
                                    const SnapshotReport& report) const = 0;

  // In the keeper, in this order. prepare() makes the scratch disk what the program expects, and
  // refuses a snapshot that does not fit the spec; the host is still in sight.
  virtual Result<void> prepare(const MachineSpec& spec) = 0;
  // What the jail shall hold.
  virtual JailRoot root(const MachineSpec& spec) const = 0;
  // Installs the seccomp filter, which keeper and program share (watch_machine_calls()).
  virtual Result<UniqueFd> watch_calls() const = 0;
  // The program's path within the jail, its arguments, its environment.
  virtual std::vector<std::string> arguments(const MachineSpec& spec) const = 0;
  virtual std::vector<std::string> environment() const = 0;
  // True where the program needs the same addresses at every start.
  virtual bool has_fixed_addresses() const = 0;
  // True where guest and program run in turns, never at once (processor.h).
  virtual bool uses_one_processor() const = 0;
  // Before the program starts, within the jail.
  virtual Result<void> make_files(const MachineSpec& spec) = 0;
  // True where the program is spoken to over a stream socket, its descriptor kControlInGuest.
  virtual bool has_control() const = 0;
  // The program runs; `control` is the keeper's end. Returns when the guest runs. As in take(),
  // `ended` becomes readable when the program has ended.
  virtual Result<void> begin(const MachineSpec& spec, UniqueFd control, int ended) = 0;
  // -1, or readable when handle_readable() should be called.
  virtual int event_fd() const = 0;
  virtual void handle_readable() = 0;
  // Asks the guest to shut down.
  virtual Result<void> ask_to_stop() = 0;
  // Writes kSnapshotMemory and kSnapshotDisk (take.h). The answer is the text of a report.
  virtual Result<std::string> take(SnapshotRequest::After after, std::chrono::milliseconds deadline,
                                   int ended) = 0;
  // How the program ended, for a wait status: "exit 0" means that the guest powered itself off.
  virtual std::string describe_end(int status) = 0;
};

}  // namespace mutua::vm
