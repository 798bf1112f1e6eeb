#include "peer/vm/qemu/qmp.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mutua::vm::qemu {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// The test is QEMU: what it says waits in the socket before it is asked.
class QmpTest : public testing::Test {
 protected:
  void SetUp() override {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    qemu_.reset(pair[0]);
    ended_.reset(::eventfd(0, EFD_CLOEXEC));
    qmp_.emplace(UniqueFd(pair[1]), ended_.get());
  }

  void say(const std::string& text) {
    ASSERT_EQ(::send(qemu_.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  }
  std::string heard() {
    std::string text(4096, '\0');
    const ssize_t got = ::recv(qemu_.get(), text.data(), text.size(), 0);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
  }
  static Qmp::Deadline soon() { return steady_clock::now() + milliseconds(50); }
  static Qmp::Deadline later() { return steady_clock::now() + milliseconds(10'000); }

  UniqueFd qemu_, ended_;
  std::optional<Qmp> qmp_;
};

TEST_F(QmpTest, GreetsThenCommands) {
  say("{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n{\"return\": {}, \"id\": 1}\r\n");
  const auto opened = qmp_->open(later());
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  EXPECT_EQ(heard(), "{\"id\":1,\"execute\":\"qmp_capabilities\",\"arguments\":{}}\n");
  say("{\"id\": 2, \"error\": {\"class\": \"GenericError\", \"desc\": \"not now\"}}\r\n");
  const auto refused = qmp_->execute("stop", "{}", later());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message(), "QEMU: stop: not now");
}

TEST_F(QmpTest, TakesNoOldAnswerForANewOne) {
  EXPECT_FALSE(qmp_->execute("stop", "{}", soon()).ok());
  say("{\"return\": {}, \"id\": 1}\r\n{\"id\": 2, \"error\": {\"desc\": \"the second\"}}\r\n");
  const auto second = qmp_->execute("cont", "{}", later());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().message(), "QEMU: cont: the second");
}

TEST_F(QmpTest, FollowsEvents) {
  say("{\"event\": \"MIGRATION\", \"data\": {\"status\": \"setup\"}}\r\n{\"return\": {}, \"id\": "
      "1}\r\n"
      "{\"event\": \"MIGRATION\", \"data\": {\"status\": \"completed\"}}\r\n");
  ASSERT_TRUE(qmp_->execute("migrate", "{}", later()).ok());
  EXPECT_TRUE(qmp_->await_migration(later()).ok());
  EXPECT_TRUE(qmp_->cancel_migration(soon()).ok()) << "there is none to cancel";
  say("{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}\r\n");
  qmp_->drain();
  EXPECT_EQ(qmp_->shutdown_reason(), "guest-reset");
}

TEST_F(QmpTest, CancelsATransferUnderWay) {
  say("{\"return\": {}, \"id\": 1}\r\n{\"return\": {}, \"id\": 2}\r\n"
      "{\"event\": \"MIGRATION\", \"data\": {\"status\": \"cancelled\"}}\r\n");
  ASSERT_TRUE(qmp_->execute("migrate", "{}", later()).ok());
  EXPECT_TRUE(qmp_->cancel_migration(later()).ok());
  EXPECT_NE(heard().find("migrate_cancel"), std::string::npos);
}

TEST_F(QmpTest, BoundsWhatAHostileQemuSays) {
  for (const char* line : {"[]\n", "{\n", "\"x\"\n", "{\"error\": [[[[[[[[[[[[[[[[[[[[\n", "\n"}) {
    say(line);
    EXPECT_FALSE(qmp_->execute("stop", "{}", soon()).ok()) << line;
  }
  say(std::string(100 << 10, 'x'));
  const auto endless = qmp_->execute("stop", "{}", later());
  ASSERT_FALSE(endless.ok());
  EXPECT_NE(endless.error().message().find("endless"), std::string::npos)
      << endless.error().message();
}

TEST_F(QmpTest, NoticesTheEnd) {
  const std::uint64_t one = 1;
  ASSERT_EQ(::write(ended_.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
  const auto outcome = qmp_->execute("stop", "{}", later());
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().message(), "QEMU: it has ended");
  qemu_.reset();
  EXPECT_FALSE(qmp_->execute("stop", "{}", later()).ok());
  qmp_->drain();
  EXPECT_EQ(qmp_->fd(), -1);
}

}  // namespace
}  // namespace mutua::vm::qemu
