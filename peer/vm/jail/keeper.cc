#include "peer/vm/jail/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
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

#include "peer/vm/jail/denials.h"
#include "peer/vm/jail/go.h"
#include "peer/vm/jail/processor.h"
#include "peer/vm/uml/cow.h"

namespace mutua::vm {
namespace {

Result<void> limit_resources(const MachineSpec& spec) {
  // A file is at most the memory or a full COW copy of the largest disk.
  TRY(limit_resource(RLIMIT_FSIZE, std::max(spec.memory_bytes, uml::kLargestDiskBytes +
                                                                   (uml::kLargestDiskBytes >> 8))));
  TRY(limit_resource(RLIMIT_NPROC, spec.limits.processes));
  TRY(limit_resource(RLIMIT_NOFILE, 1024));
  TRY(limit_resource(RLIMIT_CORE, 0));
  TRY(limit_resource(RLIMIT_MSGQUEUE, 0));
  return limit_resource(RLIMIT_MEMLOCK, 0);
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Gives `from` the number `to`, open across exec. Both may be the same.
bool place_descriptor(int from, int to) {
  return from == to ? ::fcntl(from, F_SETFD, 0) == 0 : ::dup2(from, to) == to;
}

struct GuestDescriptors {
  int input;
  int output;
  int ethernet;
  int control;  // -1: none
};

// Runs in the child that becomes the guest program. Returns only when that fails.
void become_guest(const MachineSpec& spec, const GuestProgram& guest,
                  const GuestDescriptors& descriptors) {
  // What would be in the way of another's number moves up first; the copies close at exec.
  const int ethernet = ::fcntl(descriptors.ethernet, F_DUPFD_CLOEXEC, kControlInGuest + 1);
  const int control = descriptors.control < 0
                          ? -1
                          : ::fcntl(descriptors.control, F_DUPFD_CLOEXEC, kControlInGuest + 1);
  if (!place_descriptor(descriptors.input, 0) || !place_descriptor(descriptors.output, 1) ||
      !place_descriptor(descriptors.output, 2) || !place_descriptor(ethernet, kEthernetInGuest) ||
      (control >= 0 && !place_descriptor(control, kControlInGuest))) {
    return;
  }
  if (guest.has_fixed_addresses()) ::personality(ADDR_NO_RANDOMIZE);
  // Signals are the keeper's business; the program starts with none blocked.
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  std::vector<std::string> arguments = guest.arguments(spec);
  std::vector<std::string> environment = guest.environment();
  ::execve(arguments[0].c_str(), pointers_to(arguments).data(), pointers_to(environment).data());
}

// Hands `denials` the refused system calls to answer; until that is read, they wait.
Result<void> build_jail(const MachineSpec& spec, const JailUser& user, const GuestProgram& guest,
                        UniqueFd denials) {
  TRY(enter_root(guest.root(spec), user));
  if (::sethostname("machine", 7) != 0) return errno_error(errno, "name the jail");
  TRY(limit_resources(spec));
  TRY(drop_privileges(user));
  TRY(die_with_parent());
  // The guest program runs as the same user; it shall not trace the keeper.
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  const UniqueFd listener = TRY(guest.watch_calls());
  if (!listener) return {};
  return send_listener(denials.get(), listener.get());
}

// Forks the guest program; the error of a failed exec comes back through a pipe that exec closes.
Result<pid_t> start_guest(const MachineSpec& spec, const GuestProgram& guest,
                          const GuestDescriptors& descriptors) {
  int failure_pipe[2];
  if (::pipe2(failure_pipe, O_CLOEXEC) != 0) return errno_error(errno, "pipe");
  const UniqueFd failures(failure_pipe[0]);
  UniqueFd failure(failure_pipe[1]);
  const pid_t program = ::fork();
  if (program < 0) return errno_error(errno, "fork the guest program");
  if (program == 0) {
    become_guest(spec, guest, descriptors);
    const int reason = errno;
    (void)!::write(failure.get(), &reason, sizeof reason);
    ::_exit(127);
  }
  failure.reset();
  int reason = 0;
  if (::read(failures.get(), &reason, sizeof reason) == static_cast<ssize_t>(sizeof reason)) {
    return errno_error(reason, "execute the guest program");
  }
  return program;
}

void take_snapshot(GuestProgram& guest, const Channel& warden, const std::string& order,
                   int child_signals) {
  const auto end = std::min(order.find('\n'), order.size());
  std::int64_t deadline = 0;
  (void)std::from_chars(order.data(), order.data() + end, deadline);
  const bool leaves = order.substr(end) == "\nleave";
  const auto answer =
      guest.take(leaves ? SnapshotRequest::After::leave : SnapshotRequest::After::go_on,
                 std::chrono::milliseconds(deadline), child_signals);
  if (answer.ok()) {
    (void)warden.send("taken", answer.value());
  } else {
    (void)warden.send("untaken", answer.error().message());
  }
}

// Waits for the program's end; does what the warden wants meanwhile.
[[noreturn]] void keep(pid_t program, GuestProgram& guest, const Channel& warden,
                       int child_signals) {
  for (;;) {
    pollfd events[] = {
        {warden.fd(), POLLIN, 0}, {child_signals, POLLIN, 0}, {guest.event_fd(), POLLIN, 0}};
    (void)::poll(events, std::size(events), -1);
    if (events[2].revents != 0) guest.handle_readable();
    if (events[1].revents != 0) {
      signalfd_siginfo ignored{};
      (void)!::read(child_signals, &ignored, sizeof ignored);
      int status = 0;
      for (pid_t ended; (ended = ::waitpid(-1, &status, WNOHANG)) > 0;) {
        if (ended != program) continue;
        (void)warden.send("ended", guest.describe_end(status));
        ::_exit(0);
      }
    }
    if (events[0].revents == 0) continue;
    Message message;
    const auto reception = warden.receive(message);
    if (reception == Channel::Reception::closed) ::_exit(0);
    if (reception != Channel::Reception::message) continue;
    if (message.word == "freeze") (void)::kill(program, SIGSTOP);
    if (message.word == "go_on") (void)::kill(program, SIGCONT);
    if (message.word == "take") take_snapshot(guest, warden, message.rest, child_signals);
    // A guest that cannot be asked is killed when its grace has passed.
    if (message.word == "stop") (void)guest.ask_to_stop();
  }
}

Result<void> run(const JailUser& user, GuestProgram& guest, const Channel& warden,
                 KeeperPipes pipes) {
  TRY(die_with_parent());
  const int kept[] = {warden.fd(), pipes.console.get(), pipes.ethernet.get(), pipes.denials.get()};
  close_all_but(kept);
  const MachineSpec spec = TRY(wait_for_go(warden));
  // The host's scheduler has just woken this process where there is room.
  if (guest.uses_one_processor()) stay_on_this_processor();
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

  int control[2] = {-1, -1};
  if (guest.has_control() &&
      ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, control) != 0) {
    return errno_error(errno, "socketpair");
  }
  UniqueFd own_control(control[0]);
  UniqueFd guest_control(control[1]);

  TRY(guest.prepare(spec));
  TRY(build_jail(spec, user, guest, std::move(pipes.denials)));
  TRY(guest.make_files(spec));
  const pid_t program = TRY(start_guest(
      spec, guest, {input[0], pipes.console.get(), pipes.ethernet.get(), guest_control.get()}));
  // Its end of file shall be the program's end.
  guest_control.reset();
  TRY(guest.begin(spec, std::move(own_control), child_signals.get()));
  (void)warden.send("started");
  keep(program, guest, warden, child_signals.get());
}

}  // namespace

void run_keeper(const JailUser& user, GuestProgram& guest, Channel warden, KeeperPipes pipes) {
  const auto outcome = run(user, guest, warden, std::move(pipes));
  (void)warden.send("failed", outcome.ok() ? "the keeper returned" : outcome.error().message());
  ::_exit(1);
}

}  // namespace mutua::vm
