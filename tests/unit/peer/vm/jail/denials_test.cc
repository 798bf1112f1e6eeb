#include "peer/vm/jail/denials.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <functional>

#include "peer/vm/jail/system_calls.h"

namespace mutua::vm {
namespace {

constexpr int kPatienceMilliseconds = 30'000;

// A child behind the filter, which sends its listener and then runs `body`; its exit status is
// what that returns.
class WatchedChild {
 public:
  explicit WatchedChild(const std::function<int()>& body) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(ends[0]);
      ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
      auto listener = watch_machine_calls();
      if (!listener.ok()) ::_exit(100);
      if (!*listener) ::_exit(101);
      if (!send_listener(ends[1], listener->get()).ok()) ::_exit(102);
      listener->reset();
      ::close(ends[1]);
      ::_exit(body());
    }
    ::close(ends[1]);
    socket_.reset(ends[0]);
  }
  ~WatchedChild() {
    if (pid_ > 0) status();
  }

  UniqueFd take_socket() { return std::move(socket_); }

  int status() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
  UniqueFd socket_;
};

void handle_all(Denials& denials) {
  while (denials.fd() >= 0) {
    pollfd event{denials.fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&event, 1, kPatienceMilliseconds), 1);
    denials.handle_readable();
  }
}

#define SKIP_WITHOUT_LISTENER(status) \
  if ((status) == 101) GTEST_SKIP() << "this host grants no listener: it has one of its own"

TEST(Denials, RefusedCallsFailAndAreCounted) {
  WatchedChild child([] {
    int failures = 0;
    for (int i = 0; i < 3; ++i) {
      failures += ::mount("none", "/tmp", "tmpfs", 0, nullptr) < 0 && errno == EPERM;
    }
    failures += ::socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM;
    failures += ::getpid() > 0;  // allowed
    return failures;
  });
  Denials denials("test", child.take_socket());
  testing::internal::CaptureStderr();
  handle_all(denials);
  const std::string log = testing::internal::GetCapturedStderr();
  const int status = child.status();
  SKIP_WITHOUT_LISTENER(status);
  EXPECT_EQ(status, 5);
  EXPECT_EQ(denials.count(), 4u);
  const auto first = log.find("machine.denied name=test call=mount");
  EXPECT_NE(first, std::string::npos) << log;
  EXPECT_EQ(log.find("call=mount", first + 40), std::string::npos) << "each kind once: " << log;
  EXPECT_NE(log.find("call=socket"), std::string::npos) << log;
}

TEST(Denials, AJailThatCallsWithoutEndIsLeftAlone) {
  WatchedChild child([] {
    for (unsigned i = 0; i < Denials::kMostDenials + 10; ++i) {
      if (::umount2("/nonexistent", 0) == 0) return 1;
      if (errno == ENOSYS) return 42;
    }
    return 2;
  });
  Denials denials("test", child.take_socket());
  handle_all(denials);
  const int status = child.status();
  SKIP_WITHOUT_LISTENER(status);
  EXPECT_EQ(status, 42);
  EXPECT_EQ(denials.count(), Denials::kMostDenials);
}

TEST(Denials, AKeeperThatNeverSendsEndsIt) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
  Denials denials("test", UniqueFd(ends[0]));
  denials.handle_readable();
  EXPECT_GE(denials.fd(), 0) << "nothing yet";
  ::close(ends[1]);
  denials.handle_readable();
  EXPECT_EQ(denials.fd(), -1);
}

}  // namespace
}  // namespace mutua::vm
