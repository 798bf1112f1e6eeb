#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "peer/audit/run_check.h"

namespace mutua::peer {
namespace {

constexpr std::size_t kLargestOutputBytes = 1 << 20;

Finding failed(Outcome outcome, const std::string& detail) {
  return {outcome, detail, trust::sha256(as_bytes(detail))};
}

// One run of the owner's program, in a process group of its own.
class Run {
 public:
  ~Run() {
    if (pid_ <= 0) return;
    // Whatever it started dies with it; then it is reaped.
    ::kill(-pid_, SIGKILL);
    if (!reaped_) ::waitpid(pid_, &status_, 0);
  }

  Result<void> start(const std::string& program, const SocketAddress& replica,
                     const std::string& service) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error(errno, "pipe");
    output_.reset(ends[0]);
    const UniqueFd write_end(ends[1]);
    ::fcntl(output_.get(), F_SETFL, O_NONBLOCK);

    std::array<std::string, 3> arguments{program, replica.address_to_text(),
                                         std::to_string(replica.port())};
    std::array<std::string, 4> variables{"PATH=/usr/local/bin:/usr/bin:/bin",
                                         "MUTUA_ADDRESS=" + arguments[1],
                                         "MUTUA_PORT=" + arguments[2], "MUTUA_SERVICE=" + service};
    char* argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(), nullptr};
    char* envp[] = {variables[0].data(), variables[1].data(), variables[2].data(),
                    variables[3].data(), nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), 1);
    ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), 2);
    sigset_t none, ordinary;
    ::sigemptyset(&none);
    ::sigfillset(&ordinary);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &ordinary);
    ::posix_spawnattr_setpgroup(&attributes, 0);
    ::posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    const int problem = ::posix_spawn(&pid_, program.c_str(), &actions, &attributes, argv, envp);
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    if (problem != 0) {
      pid_ = -1;
      return errno_error(problem, "run " + program);
    }
    return {};
  }

  // Reads until the program ends. The exit status, or an error for a signal and a late end.
  Result<int> finish(SteadyTime deadline) {
    for (;;) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0) return Error("the program did not end in time");
      pollfd entry{output_.get(), POLLIN, 0};
      // The pipe may stay open in a child of the program, so its end is looked for as well.
      ::poll(&entry, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 50)));
      drain();
      const pid_t ended = ::waitpid(pid_, &status_, WNOHANG);
      if (ended == 0) continue;
      reaped_ = true;
      drain();
      if (ended < 0) return errno_error(errno, "wait");
      if (WIFEXITED(status_)) return WEXITSTATUS(status_);
      return errorf("the program died of signal %d", WTERMSIG(status_));
    }
  }

  const Bytes& output() const { return collected_; }

 private:
  void drain() {
    std::array<std::uint8_t, 4096> chunk;
    for (;;) {
      const ssize_t count = ::read(output_.get(), chunk.data(), chunk.size());
      if (count <= 0) return;
      const std::size_t room = kLargestOutputBytes - collected_.size();
      append(collected_, BytesView(chunk).first(std::min(room, static_cast<std::size_t>(count))));
    }
  }

  pid_t pid_ = -1;
  int status_ = 0;
  bool reaped_ = false;
  UniqueFd output_;
  Bytes collected_;
};

}  // namespace

Finding run_exec_check(const ExecCheck& check, const SocketAddress& replica,
                       const std::string& service, std::chrono::milliseconds timeout) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + timeout;
  Run run;
  // A check that cannot run says nothing against the replica.
  if (auto started = run.start(check.program, replica, service); !started.ok()) {
    return failed(Outcome::unchecked, started.error().message());
  }
  const auto status = run.finish(deadline);
  if (!status.ok()) return failed(Outcome::unreachable, status.error().message());
  const trust::Digest evidence = trust::sha256(run.output());
  const std::string detail = "the program ended with status " + std::to_string(*status);
  return {*status == 0 ? Outcome::passed : Outcome::altered, detail, evidence};
}

}  // namespace mutua::peer
