#include "control/control.h"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/durable_file.h"
#include "base/unique_fd.h"
#include "control/unix_socket.h"
#include "support/temporary_folder.h"

namespace mutua::control {
namespace {

using boost::json::object;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

constexpr milliseconds kTimeout{10'000};

class Control : public ::testing::Test {
 protected:
  std::unique_ptr<Server> serve(Handler handler) {
    return Server::create(path_, 0600, std::move(handler)).value();
  }
  // Sends `octets` as they are; what comes back until the end.
  std::string send_raw(const std::string& octets) const {
    const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = unix_address(path_).value();
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    [[maybe_unused]] const auto sent = ::send(fd.get(), octets.data(), octets.size(), MSG_NOSIGNAL);
    ::shutdown(fd.get(), SHUT_WR);
    std::string answer;
    char chunk[4096];
    for (ssize_t count; (count = ::read(fd.get(), chunk, sizeof chunk)) > 0;) {
      answer.append(chunk, static_cast<std::size_t>(count));
    }
    return answer;
  }

  test::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "control.sock";
};

TEST_F(Control, ARequestGetsProgressThenItsResult) {
  const auto server = serve([](const object& request, Progress progress) -> Result<object> {
    progress({{"line", "half"}});
    return object{{"echo", request.at("command")}};
  });
  std::vector<std::string> lines;
  const auto result =
      call(
          path_, {{"command", "x"}},
          [&](const object& progress) { lines.emplace_back(progress.at("line").as_string()); },
          kTimeout)
          .value();
  EXPECT_EQ(result.at("echo"), "x");
  EXPECT_EQ(lines, std::vector<std::string>{"half"});
}

TEST_F(Control, AHandlersErrorComesBackAsItIs) {
  const auto server =
      serve([](const object&, Progress) -> Result<object> { return Error("no such service"); });
  EXPECT_EQ(call(path_, {}, nullptr, kTimeout).error().message(), "no such service");
}

TEST_F(Control, AHandlerThatThrowsAnswersWithAnError) {
  const auto server = serve([](const object& request, Progress) -> Result<object> {
    return object{{"x", request.at("missing")}};
  });
  EXPECT_THAT(call(path_, {}, nullptr, kTimeout).error().message(), HasSubstr("bad request"));
}

TEST_F(Control, WhatIsNoRequestIsRefused) {
  const auto server = serve([](const object&, Progress) -> Result<object> { return object{}; });
  EXPECT_THAT(send_raw("[1]\n"), HasSubstr("error"));
  EXPECT_THAT(send_raw("{\n"), HasSubstr("error"));
  EXPECT_THAT(send_raw("{}"), HasSubstr("error"));
  EXPECT_THAT(send_raw(std::string(70'000, ' ')), HasSubstr("a line of more than"));
  EXPECT_EQ(send_raw(""), "");
}

TEST_F(Control, TheSocketHasItsModeAndGoesAwayWithTheServer) {
  auto server = serve([](const object&, Progress) -> Result<object> { return object{}; });
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  server.reset();
  EXPECT_THAT(call(path_, {}, nullptr, kTimeout).error().message(), HasSubstr("does not run"));
}

TEST_F(Control, AStaleSocketIsReplacedAndALiveOneIsNot) {
  {
    const UniqueFd stale(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = unix_address(path_).value();
    ASSERT_EQ(::bind(stale.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  const Handler handler = [](const object&, Progress) -> Result<object> { return object{}; };
  const auto server = serve(handler);
  EXPECT_THAT(Server::create(path_, 0600, handler).error().message(), HasSubstr("another daemon"));
  EXPECT_TRUE(call(path_, {}, nullptr, kTimeout).ok());
}

TEST_F(Control, AFileThatIsNoSocketIsLeftAlone) {
  write_file_durably(path_, as_bytes("precious")).value();
  EXPECT_FALSE(Server::create(path_, 0600, nullptr).ok());
  EXPECT_EQ(as_text(read_file(path_, 100).value()), "precious");
}

TEST_F(Control, TheThirtyThirdRequestIsToldThatAllAreBusy) {
  std::mutex mutex;
  std::condition_variable changed;
  int waiting = 0;
  bool go_on = false;
  const auto server = serve([&](const object&, Progress) -> Result<object> {
    std::unique_lock lock(mutex);
    ++waiting;
    changed.notify_all();
    changed.wait(lock, [&] { return go_on; });
    return object{};
  });
  std::vector<std::thread> callers;
  std::atomic<int> served = 0;
  for (int index = 0; index < 32; ++index) {
    callers.emplace_back([&] { served += call(path_, {}, nullptr, kTimeout).ok() ? 1 : 0; });
  }
  {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, kTimeout, [&] { return waiting == 32; }));
  }
  EXPECT_EQ(call(path_, {}, nullptr, kTimeout).error().message(), "busy");
  {
    const std::lock_guard lock(mutex);
    go_on = true;
  }
  changed.notify_all();
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(served, 32);
}

TEST_F(Control, APatientCallerHasADeadline) {
  std::mutex mutex;
  std::condition_variable changed;
  bool go_on = false;
  const auto server = serve([&](const object&, Progress) -> Result<object> {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return go_on; });
    return object{};
  });
  EXPECT_THAT(call(path_, {}, nullptr, milliseconds(50)).error().message(), HasSubstr("timed out"));
  const std::lock_guard lock(mutex);
  go_on = true;
  changed.notify_all();
}

}  // namespace
}  // namespace mutua::control
