#include "peer/vm/machine_program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "peer/vm/control.h"
#include "peer/vm/spec_text.h"

namespace mutua::vm {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// The daemon's end of the channel, and the program's. The program finds its own as descriptor 3.
constexpr int kControlInProgram = 3;
// A SIGKILL is not disputable; the time is for a host that swaps.
constexpr milliseconds kReapDeadline{10'000};
constexpr int kRemoveAttempts = 1000;
constexpr milliseconds kRetryPause{10'000};

std::optional<Exit::Reason> parse_reason(std::string_view text) {
  for (const auto reason :
       {Exit::Reason::halted, Exit::Reason::killed, Exit::Reason::crashed, Exit::Reason::failed}) {
    if (text == to_string(reason)) return reason;
  }
  return std::nullopt;
}

class ProgramMachine final : public Machine {
 public:
  ProgramMachine(std::string name, pid_t pid, Channel channel)
      : name_(std::move(name)), pid_(pid), channel_(std::move(channel)) {}

  ~ProgramMachine() override {
    if (state_ == State::exited) return;
    kill();
    // mutua-machine takes its process group along and leaves the cgroup tidy. Should it not, the
    // host's kernel ends the group when mutua-machine itself is killed.
    if (!wait_for(State::exited, kReapDeadline).ok()) handle_closed();
  }

  State state() const override { return state_; }
  pid_t pid() const override { return pid_; }
  const std::vector<BoundPort>& ports() const override { return ports_; }
  const std::optional<Exit>& exit() const override { return exit_; }
  int event_fd() const override { return state_ == State::exited ? -1 : channel_.fd(); }

  void handle_readable() override {
    if (state_ == State::exited) return;
    Message message;
    for (;;) {
      switch (channel_.receive(message)) {
        case Channel::Reception::nothing_yet:
          return;
        case Channel::Reception::closed:
          return handle_closed();
        case Channel::Reception::message:
          handle(message);
          break;
      }
    }
  }

  void stop(milliseconds grace) override {
    if (state_ == State::exited) return;
    // A guest that is asked something must be able to hear it.
    if (frozen_) (void)go_on();
    (void)channel_.send("stop", std::to_string(grace.count()));
  }

  Result<void> freeze() override { return set_frozen(true); }
  Result<void> go_on() override { return set_frozen(false); }

  void kill() override {
    if (state_ == State::exited) return;
    if (!channel_.send("kill")) ::kill(pid_, SIGKILL);
  }

  Result<void> take(const SnapshotRequest& request) override {
    if (state_ != State::running) return errorf("machine %s does not run", name_.c_str());
    if (taking_) return errorf("machine %s: a snapshot is under way", name_.c_str());
    if (frozen_) return errorf("machine %s is frozen", name_.c_str());
    TRY(validate(request));
    // Whatever is there when the machine dies may then be removed as this take's.
    for (const auto& path : {request.memory_file, request.disk_copy}) {
      std::error_code failure;
      if (std::filesystem::exists(std::filesystem::symlink_status(path, failure))) {
        return errorf("%s exists", path.c_str());
      }
    }
    if (!channel_.send("take", to_text(request))) {
      return errorf("machine %s does not listen", name_.c_str());
    }
    taking_ = request;
    snapshot_.reset();
    return {};
  }

  const std::optional<Result<SnapshotReport>>& snapshot() const override { return snapshot_; }

  Result<void> wait_for(State wanted, milliseconds deadline) override {
    const auto end = steady_clock::now() + deadline;
    while (state_ != wanted && state_ != State::exited) {
      const auto left = std::chrono::duration_cast<milliseconds>(end - steady_clock::now()).count();
      if (left <= 0) {
        return errorf("machine %s is not %s after %lld ms", name_.c_str(), to_string(wanted),
                      static_cast<long long>(deadline.count()));
      }
      pollfd readable{channel_.fd(), POLLIN, 0};
      (void)::poll(&readable, 1, static_cast<int>(left));
      handle_readable();
    }
    return {};
  }

 private:
  Result<void> set_frozen(bool frozen) {
    if (state_ != State::running) return errorf("machine %s does not run", name_.c_str());
    if (taking_) return errorf("machine %s: a snapshot is under way", name_.c_str());
    if (!channel_.send(frozen ? "freeze" : "go_on")) {
      return errorf("machine %s does not listen", name_.c_str());
    }
    frozen_ = frozen;
    return {};
  }

  void handle(const Message& message) {
    if (message.word == "ready") {
      std::string_view rest = message.rest;
      while (!rest.empty()) {
        const auto end = rest.find('\n');
        auto port = bound_port_from_text(rest.substr(0, end));
        if (port.ok()) ports_.push_back(std::move(*port));
        rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
      }
      state_ = State::running;
    } else if (message.word == "taken" && taking_) {
      taking_.reset();
      snapshot_ = snapshot_report_from_text(message.rest);
    } else if (message.word == "untaken" && taking_) {
      taking_.reset();
      snapshot_ = Error("take a snapshot of " + name_ + ": " + message.rest);
    } else if (message.word == "exited") {
      const auto end = message.rest.find('\n');
      const auto reason = parse_reason(std::string_view(message.rest).substr(0, end));
      exit_ = Exit{reason.value_or(Exit::Reason::crashed),
                   end == std::string::npos ? std::string() : message.rest.substr(end + 1)};
    }
  }

  // End of file: mutua-machine has exited, or is about to.
  void handle_closed() {
    ::kill(pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    if (!exit_) {
      const std::string how = WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                                                  : "status " + std::to_string(WEXITSTATUS(status));
      exit_ = Exit{state_ == State::starting ? Exit::Reason::failed : Exit::Reason::killed,
                   "mutua-machine ended with " + how};
    }
    if (taking_) abandon_take();
    state_ = State::exited;
    pid_ = -1;
    channel_ = Channel(UniqueFd());
    log::info("machine.exited",
              {{"name", name_}, {"reason", to_string(exit_->reason)}, {"detail", exit_->detail}});
  }

  // mutua-machine went, perhaps without a chance to tidy up. Nothing of this take was there before
  // it, and the half of it is of no use.
  void abandon_take() {
    std::error_code ignored;
    // Its processes are on their way out of the host; one may still add a file meanwhile.
    for (int attempt = 0; attempt < kRemoveAttempts; ++attempt) {
      std::filesystem::remove_all(taking_folder(*taking_), ignored);
      if (!ignored) break;
    }
    std::filesystem::remove(taking_->memory_file, ignored);
    std::filesystem::remove(taking_->disk_copy, ignored);
    taking_.reset();
    snapshot_ = Error("take a snapshot of " + name_ + ": the machine ended");
  }

  const std::string name_;
  pid_t pid_;
  Channel channel_;
  State state_ = State::starting;
  bool frozen_ = false;
  std::vector<BoundPort> ports_;
  std::optional<Exit> exit_;
  std::optional<SnapshotRequest> taking_;
  std::optional<Result<SnapshotReport>> snapshot_;
};

}  // namespace

MachineProgram::Process::~Process() {
  if (pid_ <= 0) return;
  // End of file: it tidies up and exits. What does not is ended.
  channel_ = Channel(UniqueFd());
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  pollfd exited{process.get(), POLLIN, 0};
  (void)::poll(&exited, 1, static_cast<int>(kReapDeadline.count()));
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

bool MachineProgram::Process::waits() const {
  // Its death comes first: a child that has just been forked still holds its end of the channel.
  siginfo_t ended{};
  if (::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) != 0 ||
      ended.si_pid != 0) {
    return false;
  }
  pollfd heard{channel_.fd(), POLLIN, 0};
  return ::poll(&heard, 1, 0) == 0;
}

Result<std::unique_ptr<Machine>> MachineProgram::Process::become(const MachineSpec& spec) && {
  // The packet fits the socket's empty buffer. Should the program already be gone, the machine
  // finds out by the end of file.
  (void)channel_.send("spec", to_text(spec));
  return std::unique_ptr<Machine>(
      std::make_unique<ProgramMachine>(spec.name, std::exchange(pid_, -1), std::move(channel_)));
}

Result<MachineProgram::Process> MachineProgram::spawn() const {
  ChannelPair control = TRY(Channel::create_pair());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, control.second.fd(), kControlInProgram);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t no_signals;
  sigemptyset(&no_signals);
  sigset_t all_signals;
  sigfillset(&all_signals);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setsigmask(&attributes, &no_signals);
  posix_spawnattr_setsigdefault(&attributes, &all_signals);

  std::vector<std::string> words = {program_.string(), std::to_string(::getpid())};
  words.insert(words.end(), engine_.begin(), engine_.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  char* environment[] = {nullptr};
  pid_t pid = -1;
  const int failure =
      posix_spawn(&pid, program_.c_str(), &actions, &attributes, arguments.data(), environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) return errno_error(failure, "start " + program_.string());
  return Process(pid, std::move(control.first));
}

MachineProgram::~MachineProgram() {
  // While the refiller lives, whose end would kill it without leave to tidy up.
  const std::lock_guard lock(mutex_);
  next_refill_ = steady_clock::time_point::max();
  ready_.reset();
}

Result<std::unique_ptr<Machine>> MachineProgram::start(const MachineSpec& spec) {
  auto valid = validate(spec);
  if (!valid.ok()) return valid.error().in("start machine " + spec.name);
  {
    const std::lock_guard lock(mutex_);
    next_refill_ = steady_clock::now() + kRefillPause;
    if (ready_) {
      Process process = std::move(*ready_);
      ready_.reset();
      taken_.notify_one();
      if (process.waits()) return std::move(process).become(spec);
    }
  }
  return TRY(spawn()).become(spec);
}

void MachineProgram::keep_one_ready() {
  if (refiller_.joinable()) return;
  refiller_ = std::jthread([this](const std::stop_token& stop) { refill(stop); });
}

void MachineProgram::refill(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    taken_.wait(lock, stop, [this] { return !ready_; });
    // Every start puts this off. A copy, since the wait looks at it without the lock.
    const auto due = next_refill_;
    taken_.wait_until(lock, stop, due, [this] { return steady_clock::now() >= next_refill_; });
    if (stop.stop_requested() || steady_clock::now() < next_refill_) continue;
    auto process = spawn();
    if (process.ok()) {
      ready_.emplace(std::move(*process));
    } else {
      log::warning("machine.not_prepared", {{"reason", process.error().message()}});
      next_refill_ = steady_clock::now() + kRetryPause;
    }
  }
}

}  // namespace mutua::vm
