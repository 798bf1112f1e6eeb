#include "peer/vm/uml/jail/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "peer/vm/uml/cow.h"
#include "peer/vm/uml/jail/denials.h"
#include "peer/vm/uml/jail/ethernet.h"
#include "peer/vm/uml/jail/mconsole.h"
#include "peer/vm/uml/jail/system_calls.h"
#include "peer/vm/uml/jail/take.h"

namespace mutua::vm::uml {
namespace {

constexpr const char* kKernelName = "linux";
constexpr const char* kBaseName = "base.img";
constexpr const char* kScratchName = "scratch.cow";
constexpr const char* kMemoryName = "memory.snapshot";
constexpr const char* kMconsoleSocket = "/tmp/machine/mconsole";
constexpr int kEthernetInKernel = 3;
constexpr std::chrono::milliseconds kMconsoleDeadline{10'000};

// Beside the guest's memory, /tmp holds UML's pid file and socket.
constexpr std::uint64_t kTmpSlackBytes = 4 << 20;

std::string mac_text(const MacAddress& mac) {
  std::string text;
  for (const std::uint8_t byte : mac) {
    constexpr char digits[] = "0123456789abcdef";
    if (!text.empty()) text += ':';
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
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
  // Without a way out nobody answers there, and each look-up of the guest's would wait in vain.
  if (spec.outbound == Outbound::yes)
    arguments.push_back("mutua.dns=" + print_address(kDnsAddress));
  return arguments;
}

std::string network_argument() {
  return "vec0:transport=fd,fd=" + std::to_string(kEthernetInKernel);
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
          network_argument() + ",mac=" + mac_text(guest_mac(parse_address(spec.address))),
          "mutua.address=" + spec.address + "/8",
          "mutua.gateway=" + print_address(kGatewayAddress),
      });
  return arguments;
}

JailRoot root_of(const MachineSpec& spec) {
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

Result<void> limit_resources(const MachineSpec& spec) {
  // A file is at most the memory or a full COW copy of the largest disk.
  TRY(limit_resource(RLIMIT_FSIZE,
                     std::max(spec.memory_bytes, kLargestDiskBytes + (kLargestDiskBytes >> 8))));
  TRY(limit_resource(RLIMIT_NPROC, spec.limits.processes));
  TRY(limit_resource(RLIMIT_NOFILE, 1024));
  TRY(limit_resource(RLIMIT_CORE, 0));
  TRY(limit_resource(RLIMIT_MSGQUEUE, 0));
  return limit_resource(RLIMIT_MEMLOCK, 0);
}

// Runs in the child that becomes the guest's kernel. Returns only when that fails.
void become_kernel(const MachineSpec& spec, int input, int output, int ethernet) {
  // Descriptors 0 to 3 are the kernel's; the others close at exec.
  if (::dup2(input, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(output, 2) < 0) return;
  if (ethernet == kEthernetInKernel) {
    ::fcntl(ethernet, F_SETFD, 0);
  } else if (::dup2(ethernet, kEthernetInKernel) < 0) {
    return;
  }
  // With a randomized heap UML counts the gap before it as memory and pays page tables for it.
  ::personality(ADDR_NO_RANDOMIZE);
  // Signals are the keeper's business; the kernel starts with none blocked.
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  std::vector<std::string> texts =
      spec.memory_snapshot ? resume_arguments(spec) : boot_arguments(spec);
  std::vector<char*> arguments;
  for (std::string& text : texts) arguments.push_back(text.data());
  arguments.push_back(nullptr);
  std::string tmp = "TMPDIR=/tmp";
  std::string home = "HOME=/tmp";
  char* environment[] = {tmp.data(), home.data(), nullptr};
  ::execve(arguments[0], arguments.data(), environment);
}

// Hands `denials` the refused system calls to answer; until that is read, they wait.
Result<void> build_jail(const MachineSpec& spec, const JailUser& user, UniqueFd denials) {
  TRY(enter_root(root_of(spec), user));
  if (::sethostname("machine", 7) != 0) return errno_error(errno, "name the jail");
  TRY(limit_resources(spec));
  TRY(drop_privileges(user));
  TRY(die_with_parent());
  // The guest's kernel runs as the same user; it shall not trace the keeper.
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  const UniqueFd listener = TRY(watch_machine_calls());
  if (!listener) return {};
  return send_listener(denials.get(), listener.get());
}

// Forks the guest's kernel; the error of a failed exec comes back through a pipe that exec closes.
Result<pid_t> start_kernel(const MachineSpec& spec, const KeeperPipes& pipes, int input) {
  int failure_pipe[2];
  if (::pipe2(failure_pipe, O_CLOEXEC) != 0) return errno_error(errno, "pipe");
  const UniqueFd failures(failure_pipe[0]);
  UniqueFd failure(failure_pipe[1]);
  const pid_t kernel = ::fork();
  if (kernel < 0) return errno_error(errno, "fork the guest's kernel");
  if (kernel == 0) {
    become_kernel(spec, input, pipes.console.get(), pipes.ethernet.get());
    const int reason = errno;
    (void)!::write(failure.get(), &reason, sizeof reason);
    ::_exit(127);
  }
  failure.reset();
  int reason = 0;
  if (::read(failures.get(), &reason, sizeof reason) == static_cast<ssize_t>(sizeof reason)) {
    return errno_error(reason, "execute " + spec.kernel.string());
  }
  return kernel;
}

std::string describe(int status) {
  return WIFEXITED(status) ? "exit " + std::to_string(WEXITSTATUS(status))
                           : "signal " + std::to_string(WTERMSIG(status));
}

void take_snapshot(const Channel& warden, const std::string& order, int child_signals) {
  const auto end = order.find('\n');
  std::int64_t deadline = 0;
  (void)std::from_chars(order.data(), order.data() + std::min(end, order.size()), deadline);
  const auto answer =
      mconsole_request(kMconsoleSocket, end == std::string::npos ? "" : order.substr(end + 1),
                       std::chrono::milliseconds(deadline), child_signals);
  if (answer.ok()) {
    (void)warden.send("taken", answer.value());
  } else {
    (void)warden.send("untaken", answer.error().message());
  }
}

// Waits for the kernel's end; passes mconsole commands on meanwhile.
[[noreturn]] void keep(pid_t kernel, const Channel& warden, int child_signals) {
  for (;;) {
    pollfd events[] = {{warden.fd(), POLLIN, 0}, {child_signals, POLLIN, 0}};
    (void)::poll(events, 2, -1);
    if (events[1].revents != 0) {
      signalfd_siginfo ignored{};
      (void)!::read(child_signals, &ignored, sizeof ignored);
      int status = 0;
      for (pid_t ended; (ended = ::waitpid(-1, &status, WNOHANG)) > 0;) {
        if (ended != kernel) continue;
        (void)warden.send("ended", describe(status));
        ::_exit(0);
      }
    }
    if (events[0].revents == 0) continue;
    Message message;
    const auto reception = warden.receive(message);
    if (reception == Channel::Reception::closed) ::_exit(0);
    if (reception != Channel::Reception::message) continue;
    if (message.word == "take") take_snapshot(warden, message.rest, child_signals);
    if (message.word == "mconsole") {
      const auto answer = mconsole_request(kMconsoleSocket, message.rest, kMconsoleDeadline);
      (void)warden.send("mconsole", answer.ok() ? answer.value() : answer.error().message());
    }
  }
}

Result<void> wait_for_go(const Channel& warden) {
  for (;;) {
    pollfd readable{warden.fd(), POLLIN, 0};
    (void)::poll(&readable, 1, -1);
    Message message;
    switch (warden.receive(message)) {
      case Channel::Reception::message:
        return {};
      case Channel::Reception::closed:
        ::_exit(1);
      case Channel::Reception::nothing_yet:
        break;
    }
  }
}

Result<void> run(const MachineSpec& spec, const JailUser& user, const Channel& warden,
                 KeeperPipes pipes) {
  TRY(die_with_parent());
  TRY(wait_for_go(warden));
  const int kept[] = {warden.fd(), pipes.console.get(), pipes.ethernet.get(), pipes.denials.get()};
  close_all_but(kept);
  if (::dup2(pipes.console.get(), 1) < 0 || ::dup2(pipes.console.get(), 2) < 0) {
    return errno_error(errno, "redirect the keeper's output");
  }

  sigset_t child_ended;
  sigemptyset(&child_ended);
  sigaddset(&child_ended, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &child_ended, nullptr);
  const UniqueFd child_signals(::signalfd(-1, &child_ended, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!child_signals) return errno_error(errno, "signalfd");
  // Nobody types: the console's input is a pipe that stays open and empty.
  int input[2];
  if (::pipe2(input, O_CLOEXEC) != 0) return errno_error(errno, "pipe");

  TRY(build_jail(spec, user, std::move(pipes.denials)));
  const pid_t kernel = TRY(start_kernel(spec, pipes, input[0]));
  (void)warden.send("started");
  keep(kernel, warden, child_signals.get());
}

}  // namespace

void run_keeper(const MachineSpec& spec, const JailUser& user, Channel warden, KeeperPipes pipes) {
  const auto outcome = run(spec, user, warden, std::move(pipes));
  (void)warden.send("failed", outcome.ok() ? "the keeper returned" : outcome.error().message());
  ::_exit(1);
}

}  // namespace mutua::vm::uml
