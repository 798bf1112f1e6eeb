#include "peer/vm/jail/system_calls.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

namespace mutua::vm {
namespace {

// True when `call` fails with EPERM behind the filter, as it must, and also would for root.
bool is_refused(const std::function<Result<void>()>& filter, const std::function<long()>& call) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (!filter().ok()) ::_exit(2);
    ::_exit(call() < 0 && errno == EPERM ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

struct Call {
  const char* name;
  std::function<long()> make;
};

const Call kDangerous[] = {
    {"mount", [] { return ::mount("none", "/tmp", "tmpfs", 0, nullptr); }},
    {"umount2", [] { return ::umount2("/nonexistent", 0); }},
    {"unshare", [] { return ::unshare(CLONE_NEWUSER); }},
    {"setns", [] { return ::setns(0, 0); }},
    {"clone into a user namespace",
     [] { return ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0); }},
    {"pivot_root", [] { return ::syscall(SYS_pivot_root, "/", "/"); }},
    {"chroot", [] { return ::chroot("/"); }},
    {"bpf", [] { return ::syscall(SYS_bpf, 0, nullptr, 0); }},
    {"perf_event_open", [] { return ::syscall(SYS_perf_event_open, nullptr, 0, 0, 0, 0); }},
    {"userfaultfd", [] { return ::syscall(SYS_userfaultfd, 0); }},
    {"io_uring_setup", [] { return ::syscall(SYS_io_uring_setup, 1, nullptr); }},
    {"keyctl", [] { return ::syscall(SYS_keyctl, 0, 0, 0, 0, 0); }},
    {"add_key", [] { return ::syscall(SYS_add_key, nullptr, nullptr, nullptr, 0, 0); }},
    {"init_module", [] { return ::syscall(SYS_init_module, nullptr, 0, ""); }},
    {"kexec_load", [] { return ::syscall(SYS_kexec_load, 0, 0, nullptr, 0); }},
    {"reboot", [] { return ::syscall(SYS_reboot, 0, 0, 0, nullptr); }},
    {"open_by_handle_at", [] { return ::syscall(SYS_open_by_handle_at, 0, nullptr, 0); }},
    {"process_vm_readv", [] { return ::syscall(SYS_process_vm_readv, 1, 0, 0, 0, 0, 0); }},
    {"socket(AF_NETLINK)", [] { return ::socket(AF_NETLINK, SOCK_RAW, 0); }},
    {"socket(AF_VSOCK)", [] { return ::socket(AF_VSOCK, SOCK_STREAM, 0); }},
    {"socket(AF_PACKET)", [] { return ::socket(AF_PACKET, SOCK_RAW, 0); }},
};

TEST(MachineCalls, DangerousOnesAreRefused) {
  for (const Call& call : kDangerous) {
    EXPECT_TRUE(is_refused(allow_machine_calls, call.make)) << call.name;
  }
  EXPECT_TRUE(is_refused(allow_machine_calls, [] { return ::socket(AF_INET, SOCK_STREAM, 0); }));
}

TEST(NetworkCalls, DangerousOnesAreRefused) {
  for (const Connects connects : {Connects::no, Connects::yes}) {
    const auto filter = [connects] { return allow_network_calls(connects); };
    for (const Call& call : kDangerous) EXPECT_TRUE(is_refused(filter, call.make)) << call.name;
    EXPECT_TRUE(is_refused(filter, [] { return ::syscall(SYS_fork); }));
    EXPECT_TRUE(is_refused(filter, [] { return ::kill(::getpid(), 0); }));
    EXPECT_TRUE(is_refused(filter, [] {
      char* none[] = {nullptr};
      return ::execve("/bin/true", none, none);
    }));
  }
}

TEST(NetworkCalls, ConnectionsNeedToBeAllowed) {
  const auto make_socket = [] { return ::socket(AF_INET, SOCK_STREAM, 0); };
  EXPECT_TRUE(is_refused([] { return allow_network_calls(Connects::no); }, make_socket));
  EXPECT_FALSE(is_refused([] { return allow_network_calls(Connects::yes); }, make_socket));
}

}  // namespace
}  // namespace mutua::vm
