#include "peer/vm/jail/warden.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "base/unique_fd.h"
#include "peer/vm/jail/console_log.h"
#include "peer/vm/jail/control_group.h"
#include "peer/vm/jail/denials.h"
#include "peer/vm/jail/go.h"
#include "peer/vm/jail/jail.h"
#include "peer/vm/jail/keeper.h"
#include "peer/vm/jail/network.h"
#include "peer/vm/jail/processor.h"
#include "peer/vm/jail/take.h"
#include "peer/vm/spec_text.h"

namespace mutua::vm {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::uint64_t kOwnNamespaces =
    CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
// The console is read in turns of at most this much, so that a chatty guest delays no command.
constexpr std::size_t kConsoleTurnBytes = 64 << 10;
constexpr milliseconds kTakeWatch{100};
constexpr std::size_t kConsoleTailBytes = 4 << 10;

// For poll(): at least the time, or -1 for ever.
int milliseconds_until(steady_clock::time_point wake, steady_clock::time_point now) {
  if (wake == steady_clock::time_point::max()) return -1;
  return static_cast<int>(std::chrono::ceil<milliseconds>(wake - now).count());
}

std::string last_line_with(std::string_view text, std::string_view beginning) {
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  while (!text.empty()) {
    const auto end = text.rfind('\n');
    const std::string_view line = text.substr(end == std::string_view::npos ? 0 : end + 1);
    if (line.starts_with(beginning)) return std::string(line);
    text = text.substr(0, end == std::string_view::npos ? 0 : end);
  }
  return {};
}

// A child process with its channel; killed and reaped at the end of its life.
struct Child {
  pid_t pid = -1;
  Channel channel{UniqueFd()};

  Child() = default;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { end(); }

  // Both children are the first of a process-id namespace: waitpid() returns only when every
  // other process in it is gone too.
  void end() {
    if (pid <= 0) return;
    ::kill(pid, SIGKILL);
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid = -1;
  }
};

Result<void> give_disk(const std::filesystem::path& path, const JailUser& user) {
  const UniqueFd disk(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!disk) return errno_error(errno, "open " + path.string());
  struct stat status {};
  if (::fstat(disk.get(), &status) != 0) return errno_error(errno, "stat " + path.string());
  if (!S_ISREG(status.st_mode)) return errorf("%s: not a regular file", path.c_str());
  if (user.in_user_namespace) return {};
  if (::fchown(disk.get(), user.uid, user.uid) != 0 || ::fchmod(disk.get(), 0600) != 0) {
    return errno_error(errno, "give " + path.string() + " to the jail");
  }
  return {};
}

// Memory, at worst a run for every page, and a disk without holes.
std::uint64_t most_snapshot_bytes(const MachineSpec& spec) {
  std::error_code failure;
  const std::uintmax_t disk = std::filesystem::file_size(spec.scratch_disk, failure);
  return spec.memory_bytes + spec.memory_bytes / 128 + (failure ? 0 : disk) + (4 << 20);
}

class Warden {
 public:
  Warden(GuestProgram& guest, const Channel& daemon) : guest_(guest), daemon_(daemon) {}

  // Nothing when the daemon went away before it said anything.
  std::optional<Exit> run() {
    auto prepared = prepare();
    if (!prepared.ok()) return Exit{Exit::Reason::failed, prepared.error().message()};
    const auto order = await_order();
    if (!order.ok()) return Exit{Exit::Reason::failed, order.error().message()};
    if (!*order) return std::nullopt;
    auto started = start(**order);
    if (!started.ok()) return Exit{Exit::Reason::failed, started.error().message()};
    while (!exit_) turn();
    keeper_.end();
    network_.end();
    drain_console();
    // Only now does nobody write there any more.
    take_.reset();
    return exit_;
  }

 private:
  // The processes, which wait for start().
  Result<void> prepare() {
    group_ = ControlGroup::create();
    machine_user_ = choose_jail_user(Part::machine);
    const JailUser network_user = choose_jail_user(Part::network);

    int console[2];
    if (::pipe2(console, O_CLOEXEC) != 0) return errno_error(errno, "pipe");
    console_.reset(console[0]);
    UniqueFd console_end(console[1]);
    if (::fcntl(console_.get(), F_SETFL, O_NONBLOCK) != 0) return errno_error(errno, "fcntl");
    int ethernet[2];
    if (::socketpair(AF_UNIX, guest_.ethernet_type() | SOCK_CLOEXEC, 0, ethernet) != 0) {
      return errno_error(errno, "socketpair");
    }
    int denials[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, denials) != 0) {
      return errno_error(errno, "socketpair");
    }
    denials_socket_.reset(denials[0]);
    UniqueFd denials_end(denials[1]);
    UniqueFd guest_end(ethernet[0]);
    UniqueFd network_end(ethernet[1]);

    TRY(start_child(network_, kOwnNamespaces, network_user, nullptr, [&](Channel channel) {
      run_network(network_user, std::move(channel), std::move(network_end));
    }));
    TRY(start_child(
        keeper_, kOwnNamespaces | CLONE_NEWNET, machine_user_, &door_, [&](Channel channel) {
          run_keeper(
              machine_user_, guest_, std::move(channel),
              KeeperPipes{std::move(console_end), std::move(guest_end), std::move(denials_end)});
        }));
    return {};
  }

  // The daemon's first message; nothing when it is gone.
  Result<std::optional<Message>> await_order() const {
    for (;;) {
      pollfd events[] = {{daemon_.fd(), POLLIN, 0},
                         {keeper_.channel.fd(), POLLIN, 0},
                         {network_.channel.fd(), POLLIN, 0}};
      (void)::poll(events, std::size(events), -1);
      Message message;
      const auto reception = daemon_.receive(message);
      if (reception == Channel::Reception::closed) return std::optional<Message>();
      // They have nothing to say yet.
      if (events[1].revents != 0 || events[2].revents != 0) {
        return errorf("a process of the jail died");
      }
      if (reception == Channel::Reception::message) return std::optional(std::move(message));
    }
  }

  Result<void> start(const Message& order) {
    if (order.word != "spec") return errorf("not a machine to run");
    spec_ = TRY(spec_from_text(order.rest));
    denials_.emplace(spec_.name, std::move(denials_socket_));
    group_->limit(spec_, guest_.overhead_bytes());
    log_ = TRY(ConsoleLog::open(spec_.console_log));
    TRY(give_disk(spec_.scratch_disk, machine_user_));
    if (!send_go(network_.channel, spec_) || !send_go(keeper_.channel, spec_)) {
      return errorf("the machine's processes are gone");
    }
    return {};
  }

  template <typename Body>
  Result<void> start_child(Child& child, std::uint64_t namespaces, const JailUser& user,
                           JailDoor* door, const Body& body) {
    ChannelPair pair = TRY(Channel::create_pair());
    child.pid = TRY(fork_into(namespaces, user));
    if (child.pid == 0) {
      // A copy of this end in the child would hide the warden's death from it.
      pair.first = Channel(UniqueFd());
      body(std::move(pair.second));
    }
    child.channel = std::move(pair.first);
    TRY(map_ids(child.pid, user));
    if (door) *door = TRY(open_door(child.pid, user));
    group_->add(child.pid);
    return {};
  }

  void turn() {
    pollfd events[] = {
        {daemon_.fd(), POLLIN, 0},          {keeper_.channel.fd(), POLLIN, 0},
        {network_.channel.fd(), POLLIN, 0}, {console_.get(), POLLIN, 0},
        {denials_->fd(), POLLIN, 0},
    };
    const auto now = steady_clock::now();
    auto wake = steady_clock::time_point::max();
    if (stop_deadline_) {
      if (*stop_deadline_ <= now) {
        return finish(Exit::Reason::killed, "the guest did not stop in time");
      }
      wake = *stop_deadline_;
    }
    if (take_) {
      if (!take_->is_within(most_snapshot_bytes(spec_))) {
        return finish(Exit::Reason::killed, "it wrote more than a snapshot of it can be");
      }
      wake = std::min(wake, now + kTakeWatch);
    }
    if (processor_watch_) {
      processor_watch_->look(now);
      wake = std::min(wake, processor_watch_->next_look());
    }
    if (::poll(events, std::size(events), milliseconds_until(wake, now)) <= 0) return;
    if ((events[3].revents & POLLIN) != 0) copy_console();
    if ((events[3].revents & (POLLIN | POLLHUP)) == POLLHUP) console_.reset();
    if (events[4].revents != 0) denials_->handle_readable();
    if (events[1].revents != 0) hear_keeper();
    if (events[2].revents != 0 && !exit_) hear_network();
    if (events[0].revents != 0 && !exit_) hear_daemon();
  }

  void hear_daemon() {
    Message message;
    const auto reception = daemon_.receive(message);
    if (reception == Channel::Reception::closed) {
      return finish(Exit::Reason::killed, "the daemon is gone");
    }
    if (reception != Channel::Reception::message) return;
    if (message.word == "kill") return finish(Exit::Reason::killed, "on request");
    if (message.word == "freeze" || message.word == "go_on") {
      (void)keeper_.channel.send(message.word);
      return;
    }
    if (message.word == "take") return begin_take(message.rest);
    if (message.word == "stop") {
      std::int64_t grace = 0;
      const char* end = message.rest.data() + message.rest.size();
      (void)std::from_chars(message.rest.data(), end, grace);
      stop_deadline_ = steady_clock::now() + milliseconds(grace);
      (void)keeper_.channel.send("stop");
    }
  }

  void begin_take(const std::string& text) {
    if (take_) return;  // the daemon asks for one at a time
    auto begun = [&]() -> Result<void> {
      const SnapshotRequest request = TRY(snapshot_request_from_text(text));
      take_.emplace(TRY(Take::begin(request, machine_user_, door_)));
      const bool leaves = request.after == SnapshotRequest::After::leave;
      const std::string order =
          std::to_string(request.deadline.count()) + (leaves ? "\nleave" : "\ngo on");
      if (!keeper_.channel.send("take", order)) return errorf("the keeper does not listen");
      return {};
    }();
    if (begun.ok()) return;
    take_.reset();
    (void)daemon_.send("untaken", begun.error().message());
  }

  void end_take(const Message& answer) {
    if (!take_) return;
    const auto outcome = answer.word == "taken" ? complete_take(answer.rest) : Error(answer.rest);
    take_.reset();
    if (outcome.ok()) {
      (void)daemon_.send("taken", answer.rest);
    } else {
      (void)daemon_.send("untaken", outcome.error().message());
    }
  }

  Result<void> complete_take(const std::string& answer) {
    const SnapshotReport report = TRY(snapshot_report_from_text(answer));
    TRY(guest_.check_result(take_->memory_file(), report));
    return take_->hand_over();
  }

  void hear_keeper() {
    Message message;
    const auto reception = keeper_.channel.receive(message);
    if (reception == Channel::Reception::closed) {
      return finish(Exit::Reason::crashed, "the keeper died");
    }
    if (reception != Channel::Reception::message) return;
    if (message.word == "failed") return refuse(message.rest);
    if (message.word == "taken" || message.word == "untaken") return end_take(message);
    if (message.word == "ended") {
      if (spec_.memory_snapshot && !guest_lives_) {
        return refuse("the snapshot was not resumed: " + message.rest);
      }
      const bool halted = message.rest == "exit 0";
      return finish(halted ? Exit::Reason::halted : Exit::Reason::crashed, message.rest);
    }
    if (message.word == "started") {
      kernel_runs_ = true;
      report_ready();
      if (guest_.uses_one_processor()) processor_watch_.emplace(keeper_.pid);
    }
  }

  // The guest program's last words tell why; they came before its end.
  void refuse(const std::string& otherwise) {
    copy_console();
    const auto line = last_line_with(console_tail_, guest_.complaint());
    finish(Exit::Reason::failed, line.empty() ? otherwise : line);
  }

  void hear_network() {
    Message message;
    const auto reception = network_.channel.receive(message);
    if (reception == Channel::Reception::closed) {
      // The guest's kernel closes its end when it ends; whichever news comes first, the keeper's
      // tells why.
      return lose_network();
    }
    if (reception != Channel::Reception::message) return;
    if (message.word == "failed") return finish(Exit::Reason::failed, message.rest);
    if (message.word == "bound") {
      bound_ports_ = message.rest;
      report_ready();
    }
    if (message.word == "alive") {
      guest_lives_ = true;
      report_ready();
    }
  }

  void lose_network() {
    pollfd keeper{keeper_.channel.fd(), POLLIN, 0};
    if (::poll(&keeper, 1, 1000) > 0) return hear_keeper();
    finish(Exit::Reason::crashed, "the network process died");
  }

  void report_ready() {
    // A kernel that refuses a snapshot does so after its start.
    if (spec_.memory_snapshot && !guest_lives_) return;
    if (!kernel_runs_ || !bound_ports_ || std::exchange(ready_, true)) return;
    (void)daemon_.send("ready", *bound_ports_);
  }

  void finish(Exit::Reason reason, std::string detail) {
    if (exit_) return;
    if (reason != Exit::Reason::halted && group_ && group_->ran_out_of_memory()) {
      log::warning("machine.out_of_memory", {{"name", spec_.name}});
      detail += "; it wanted more than the host's memory that it may use";
    }
    exit_ = Exit{reason, std::move(detail)};
  }

  void copy_console() {
    std::array<std::uint8_t, 16384> buffer;
    for (std::size_t done = 0; done < kConsoleTurnBytes;) {
      const ssize_t got = ::read(console_.get(), buffer.data(), buffer.size());
      if (got <= 0) return;
      const auto output = BytesView(buffer).first(static_cast<std::size_t>(got));
      log_->append(output);
      if (!ready_) note_tail(as_text(output));
      done += static_cast<std::size_t>(got);
    }
  }

  void note_tail(std::string_view output) {
    console_tail_.append(output);
    if (console_tail_.size() > kConsoleTailBytes) {
      console_tail_.erase(0, console_tail_.size() - kConsoleTailBytes);
    }
  }

  // A pipe holds 64 KiB; with its writers gone, what is left fits one turn.
  void drain_console() {
    if (console_) copy_console();
  }

  GuestProgram& guest_;
  const Channel& daemon_;
  MachineSpec spec_;  // from start() on
  // Declared before the children: the group is removed after they are gone.
  std::optional<ControlGroup> group_;
  std::optional<ConsoleLog> log_;
  UniqueFd console_;
  JailUser machine_user_;
  JailDoor door_;
  UniqueFd denials_socket_;  // until denials_
  std::optional<Denials> denials_;
  std::optional<Take> take_;
  std::optional<ProcessorWatch> processor_watch_;
  Child network_;
  Child keeper_;
  bool kernel_runs_ = false;
  bool guest_lives_ = false;
  bool ready_ = false;
  std::string console_tail_;  // until it is ready
  std::optional<std::string> bound_ports_;
  std::optional<steady_clock::time_point> stop_deadline_;
  std::optional<Exit> exit_;
};

}  // namespace

void run_warden(GuestProgram& guest, const Channel& daemon) {
  std::optional<Exit> exit;
  {
    Warden warden(guest, daemon);
    exit = warden.run();
  }
  if (exit) (void)daemon.send("exited", std::string(to_string(exit->reason)) + '\n' + exit->detail);
}

}  // namespace mutua::vm
