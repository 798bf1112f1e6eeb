#include "peer/vm/jail/system_calls.h"

#include <sched.h>
#include <seccomp.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <span>

namespace mutua::vm {
namespace {

constexpr int kMemoryAndTime[] = {
    SCMP_SYS(brk),           SCMP_SYS(mmap),           SCMP_SYS(munmap),
    SCMP_SYS(mremap),        SCMP_SYS(mprotect),       SCMP_SYS(madvise),
    SCMP_SYS(msync),         SCMP_SYS(futex),          SCMP_SYS(restart_syscall),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres),   SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),     SCMP_SYS(gettimeofday),   SCMP_SYS(time),
    SCMP_SYS(times),         SCMP_SYS(getrandom),      SCMP_SYS(sched_yield),
    SCMP_SYS(uname),         SCMP_SYS(sysinfo),        SCMP_SYS(getpid),
    SCMP_SYS(gettid),        SCMP_SYS(getppid),        SCMP_SYS(getuid),
    SCMP_SYS(geteuid),       SCMP_SYS(getgid),         SCMP_SYS(getegid),
    SCMP_SYS(rt_sigaction),  SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),   SCMP_SYS(exit),           SCMP_SYS(exit_group),
    SCMP_SYS(tgkill),
};

constexpr int kDescriptors[] = {
    SCMP_SYS(read),        SCMP_SYS(readv),       SCMP_SYS(write),      SCMP_SYS(writev),
    SCMP_SYS(close),       SCMP_SYS(fcntl),       SCMP_SYS(poll),       SCMP_SYS(ppoll),
    SCMP_SYS(recvfrom),    SCMP_SYS(recvmsg),     SCMP_SYS(recvmmsg),   SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),     SCMP_SYS(sendmmsg),    SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(shutdown),   SCMP_SYS(openat),
    SCMP_SYS(open),        SCMP_SYS(fstat),       SCMP_SYS(newfstatat), SCMP_SYS(stat),
    SCMP_SYS(lseek),       SCMP_SYS(ioctl),
};

constexpr int kMachine[] = {
    // files
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(preadv),
    SCMP_SYS(pwritev),
    SCMP_SYS(lstat),
    SCMP_SYS(statx),
    SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd),
    SCMP_SYS(chdir),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(rmdir),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(rename),
    SCMP_SYS(getdents64),
    SCMP_SYS(umask),
    SCMP_SYS(fchmod),
    SCMP_SYS(chmod),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fallocate),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(flock),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(close_range),
    SCMP_SYS(memfd_create),
    // events
    SCMP_SYS(pipe),
    SCMP_SYS(pipe2),
    SCMP_SYS(eventfd2),
    SCMP_SYS(epoll_create),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(timer_create),
    SCMP_SYS(timer_settime),
    SCMP_SYS(timer_gettime),
    SCMP_SYS(timer_getoverrun),
    SCMP_SYS(timer_delete),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(setitimer),
    SCMP_SYS(getitimer),
    SCMP_SYS(alarm),
    SCMP_SYS(pause),
    // signals
    SCMP_SYS(rt_sigsuspend),
    SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(rt_sigpending),
    SCMP_SYS(kill),
    SCMP_SYS(tkill),
    // processes
    SCMP_SYS(execve),
    SCMP_SYS(wait4),
    SCMP_SYS(waitid),
    SCMP_SYS(ptrace),
    SCMP_SYS(personality),
    SCMP_SYS(prctl),
    SCMP_SYS(arch_prctl),
    SCMP_SYS(set_tid_address),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(setsid),
    SCMP_SYS(setpgid),
    SCMP_SYS(getpgrp),
    SCMP_SYS(getpgid),
    SCMP_SYS(getrlimit),
    SCMP_SYS(setrlimit),
    SCMP_SYS(prlimit64),
    SCMP_SYS(getrusage),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(membarrier),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    // sockets; socket() itself is limited below
    SCMP_SYS(bind),
    SCMP_SYS(connect),
};

constexpr int kEmulator[] = {
    // files
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(preadv),
    SCMP_SYS(pwritev),
    SCMP_SYS(pwritev2),
    SCMP_SYS(lstat),
    SCMP_SYS(statx),
    SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd),
    SCMP_SYS(chdir),
    SCMP_SYS(fchdir),
    SCMP_SYS(getdents64),
    SCMP_SYS(unlink),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fallocate),
    SCMP_SYS(fdatasync),
    SCMP_SYS(fsync),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(memfd_create),
    // events
    SCMP_SYS(pipe2),
    SCMP_SYS(eventfd2),
    SCMP_SYS(signalfd4),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(pselect6),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime),
    // processes and threads
    SCMP_SYS(execve),
    SCMP_SYS(wait4),
    SCMP_SYS(prctl),
    SCMP_SYS(arch_prctl),
    SCMP_SYS(seccomp),
    SCMP_SYS(set_tid_address),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(getrlimit),
    SCMP_SYS(prlimit64),
    SCMP_SYS(getrusage),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(membarrier),
    SCMP_SYS(get_mempolicy),
    SCMP_SYS(set_mempolicy),
    SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(rt_sigpending),
    SCMP_SYS(rt_sigsuspend),
    SCMP_SYS(tkill),
};

constexpr int kIncoming[] = {SCMP_SYS(accept), SCMP_SYS(accept4)};
constexpr int kOutgoing[] = {SCMP_SYS(connect), SCMP_SYS(bind)};

constexpr unsigned long kNewNamespaces = CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |
                                         CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

class Filter {
 public:
  // `otherwise` is what happens to calls that no rule names.
  explicit Filter(std::uint32_t otherwise = SCMP_ACT_ERRNO(EPERM))
      : context_(seccomp_init(otherwise), seccomp_release) {
    if (!context_) failure_ = -ENOMEM;
  }

  Filter& allow(std::span<const int> calls) {
    for (const int call : calls) rule(SCMP_ACT_ALLOW, call);
    return *this;
  }
  Filter& allow_if(int call, scmp_arg_cmp condition) {
    rule(SCMP_ACT_ALLOW, call, &condition);
    return *this;
  }
  // The C library asks for clone3 first; ENOSYS makes it fall back to clone.
  Filter& pretend_missing(int call) {
    rule(SCMP_ACT_ERRNO(ENOSYS), call);
    return *this;
  }
  Result<void> load() {
    // A binary search over the calls: stubs and kernel pay for the filter at every call.
    note(seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2));
    if (failure_ == 0) note(seccomp_load(context_.get()));
    if (failure_ != 0) return errno_error(-failure_, "install the seccomp filter");
    return {};
  }

  // After load() of a filter that notifies.
  UniqueFd listener() const { return UniqueFd(seccomp_notify_fd(context_.get())); }

 private:
  void rule(std::uint32_t action, int call, const scmp_arg_cmp* condition = nullptr) {
    if (failure_ != 0) return;
    note(seccomp_rule_add_array(context_.get(), action, call, condition ? 1 : 0, condition));
  }
  void note(int status) {
    if (status < 0 && failure_ == 0) failure_ = status;
  }

  std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
  int failure_ = 0;
};

scmp_arg_cmp argument_is(unsigned index, std::uint64_t value) {
  return {index, SCMP_CMP_EQ, value, 0};
}

void list_machine_calls(Filter& filter) {
  filter.allow(kMemoryAndTime)
      .allow(kDescriptors)
      .allow(kMachine)
      .allow_if(SCMP_SYS(clone), {0, SCMP_CMP_MASKED_EQ, kNewNamespaces, 0})
      .allow_if(SCMP_SYS(socket), argument_is(0, AF_UNIX))
      .allow_if(SCMP_SYS(socketpair), argument_is(0, AF_UNIX))
      .pretend_missing(SCMP_SYS(clone3));
}

void list_emulator_calls(Filter& filter) {
  filter.allow(kMemoryAndTime)
      .allow(kDescriptors)
      .allow(kEmulator)
      .allow_if(SCMP_SYS(clone), {0, SCMP_CMP_MASKED_EQ, kNewNamespaces, 0})
      .allow_if(SCMP_SYS(socketpair), argument_is(0, AF_UNIX))
      .pretend_missing(SCMP_SYS(clone3))
      .pretend_missing(SCMP_SYS(io_uring_setup));
}

Result<void> allow(void (*list_calls)(Filter&)) {
  Filter filter;
  list_calls(filter);
  return filter.load();
}

Result<UniqueFd> watch(void (*list_calls)(Filter&)) {
  Filter filter(SCMP_ACT_NOTIFY);
  list_calls(filter);
  if (filter.load().ok()) return filter.listener();
  // A container that watches its own calls leaves no listener to its processes.
  TRY(allow(list_calls));
  return UniqueFd();
}

}  // namespace

Result<void> allow_machine_calls() { return allow(list_machine_calls); }

Result<UniqueFd> watch_machine_calls() { return watch(list_machine_calls); }

Result<UniqueFd> watch_emulator_calls() { return watch(list_emulator_calls); }

Result<void> allow_network_calls(Connects connects) {
  Filter filter;
  filter.allow(kMemoryAndTime).allow(kDescriptors).allow(kIncoming);
  if (connects == Connects::yes) {
    filter.allow(kOutgoing).allow_if(SCMP_SYS(socket), argument_is(0, AF_INET));
  }
  return filter.load();
}

}  // namespace mutua::vm
