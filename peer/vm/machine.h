#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

// Machines that host other people's services, without a word about which engine runs them.
namespace mutua::vm {

// Where a guest's agent listens (root/sbin/mutua-agent in uml/base); reached as a port mapping.
inline constexpr std::uint16_t kAgentPort = 4;

enum class Protocol { tcp, udp };
enum class Outbound { no, yes };

// One port of the guest, reachable from outside. The host port is taken at random from
// first..last; {0, 0} leaves the choice to the host's kernel.
struct PortMapping {
  Protocol protocol = Protocol::tcp;
  std::string host_address = "127.0.0.1";  // an IPv4 literal; 0.0.0.0 means every address
  std::uint16_t host_port_first = 0;
  std::uint16_t host_port_last = 0;
  std::uint16_t guest_port = 0;

  bool operator==(const PortMapping&) const = default;
};

// A mapping after the host port is chosen and listening.
struct BoundPort {
  Protocol protocol = Protocol::tcp;
  std::string host_address;
  std::uint16_t host_port = 0;
  std::uint16_t guest_port = 0;

  bool operator==(const BoundPort&) const = default;
};

struct Limits {
  unsigned cpu_percent = 100;  // of one processor, for the machine and its network together
  unsigned processes = 512;    // of the host's; an engine may need one for each of the guest's

  bool operator==(const Limits&) const = default;
};

struct MachineSpec {
  std::string name;  // a-z, 0-9, '-'; 1 to 48 characters; for people and logs, need not be unique
  std::filesystem::path kernel;
  std::filesystem::path base_disk;     // shared, never written
  std::filesystem::path scratch_disk;  // private; above base_disk; given to the jail's user
  // Resume this snapshot instead of booting; scratch_disk is then a copy of its disk, memory_bytes
  // and address those of the machine that was taken, and kernel the very same. Readable by
  // everyone, like kernel and base_disk; never written. What does not fit is Reason::failed.
  std::optional<std::filesystem::path> memory_snapshot;
  std::uint64_t memory_bytes = 64 << 20;
  std::string address = "10.0.0.1";  // the guest's own, within 10.0.0.0/8
  // What the guest may tell itself apart by, 32 hex digits: at a boot and after a resume its agent
  // makes them /etc/machine-id, and the first 8 a suffix of its hostname. Empty: both stay as they
  // are, so that replicas of one snapshot share them.
  std::string instance;
  // Whoever says these 32 hex digits first at the guest's port kAgentPort may run commands there as
  // root: for an owner who sets a machine up. Empty: nobody may.
  std::string agent;
  std::vector<PortMapping> ports;
  Outbound outbound = Outbound::no;  // yes: to public addresses, never to the host or its LAN
  Limits limits;
  std::filesystem::path console_log;  // kept below 1 MiB; the part before it is at <console_log>.1
  std::filesystem::path run_dir;      // exists; the jail's root is mounted above it, unseen outside

  bool operator==(const MachineSpec&) const = default;
};

// Every rule that the comments above state; the error names the field.
Result<void> validate(const MachineSpec& spec);

enum class State {
  starting,
  running,  // the guest's kernel runs and the ports listen; its service may still be booting, but
            // a resumed guest has answered its network
  exited,
};

// Why a machine is no more.
struct Exit {
  enum class Reason {
    halted,   // the guest powered itself off, asked or not
    killed,   // stop()'s grace ran out, kill(), the Machine object went away, or a take grew
              // beyond what a snapshot can be
    crashed,  // the guest's kernel panicked, ran out of the host's memory, or lost its network
    failed,   // it never ran: a bad disk, a port in use, a refusal of the host's
  };
  Reason reason = Reason::failed;
  std::string detail;  // for the log
};

// A snapshot of a running machine: its memory, and the scratch disk as it was at that instant. The
// two files appear together or not at all; before, they must not exist. They lie on one file
// system. The memory file may be read by whoever may enter its folder, since every machine that
// resumes it is a user of its own: a private service wants a private folder.
// While it is made, <memory_file>.taking is there; one that a crash left goes with the next take.
struct SnapshotRequest {
  enum class After { go_on, leave };  // leave: the machine ends as Exit::Reason::halted
  std::filesystem::path memory_file;
  std::filesystem::path disk_copy;
  After after = After::go_on;
  // For the guest's kernel, which freezes its programs for the last part of it. After that the
  // take has failed and the machine goes on; one that was about to leave may just have left.
  std::chrono::milliseconds deadline{30'000};

  bool operator==(const SnapshotRequest&) const = default;
};

Result<void> validate(const SnapshotRequest& request);

struct SnapshotReport {
  std::uint64_t pages = 0;  // that the memory file holds
  std::uint64_t bytes = 0;  // of the memory file
  std::chrono::microseconds frozen{0};
  std::uint64_t generation = 0;  // how often the machine had been resumed

  bool operator==(const SnapshotReport&) const = default;
};

const char* to_string(Protocol protocol);
const char* to_string(State state);
const char* to_string(Exit::Reason reason);

// One machine and its process group. Belongs to the thread that started it, which must outlive
// it: the group dies with that thread. Destruction kills the machine and returns when no process
// of it is left.
class Machine {
 public:
  virtual ~Machine() = default;

  virtual State state() const = 0;
  // The process that watches over the group; -1 once exited.
  virtual pid_t pid() const = 0;
  // Valid from State::running on; in the order of the spec.
  virtual const std::vector<BoundPort>& ports() const = 0;
  // Set in State::exited.
  virtual const std::optional<Exit>& exit() const = 0;

  // Readable when something happened; the owner's loop then calls handle_readable(), which never
  // blocks and may change state(). -1 once exited.
  virtual int event_fd() const = 0;
  virtual void handle_readable() = 0;

  // Asks the guest to shut down. When `grace` has passed, the machine is killed. Does not block.
  virtual void stop(std::chrono::milliseconds grace) = 0;
  // Ends it without asking. Does not block.
  virtual void kill() = 0;

  // Holds the whole guest still, for its neighbours to see, until go_on(): its clocks do not stop,
  // its clients wait. A frozen machine can be stopped or killed, not taken. Neither blocks.
  virtual Result<void> freeze();
  virtual Result<void> go_on();

  // Begins a snapshot; does not block. An error at once: the machine does not run, another take is
  // under way, or the request is invalid. The outcome comes like every event, as snapshot(); a
  // guest whose kernel still boots cannot be taken. Engines that take none leave this as it is.
  virtual Result<void> take(const SnapshotRequest& request);
  // The outcome of the latest take(); empty while it is under way.
  virtual const std::optional<Result<SnapshotReport>>& snapshot() const;

  // Waits until state() is `wanted` or exited. An error when the deadline passes first.
  virtual Result<void> wait_for(State wanted, std::chrono::milliseconds deadline) = 0;
};

// Makes machines. The spec is copied. start() returns while the machine is State::starting; what
// goes wrong later shows as State::exited with Reason::failed.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual Result<std::unique_ptr<Machine>> start(const MachineSpec& spec) = 0;
  // From now on does ahead of time what the next start() needs of every machine, so that it takes
  // a third of the time. Costs three idle processes. Engines that cannot leave this as it is.
  virtual void keep_one_ready() {}
};

// The engines that a host has, by the names that snapshots give them: "uml", "qemu".
using Engines = std::map<std::string, Engine*, std::less<>>;
// An error names those that there are.
Result<Engine*> find_engine(const Engines& engines, const std::string& name);

}  // namespace mutua::vm
