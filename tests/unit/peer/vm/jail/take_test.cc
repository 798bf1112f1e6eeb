#include "peer/vm/jail/take.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>

#include "peer/vm/spec_text.h"

namespace mutua::vm {
namespace {

namespace fs = std::filesystem;

// A jail with nobody of importance in it.
class TakeTest : public testing::Test {
 protected:
  void SetUp() override {
#ifdef __SANITIZE_THREAD__
    // setns(2) refuses to take one of several threads into a mount namespace.
    GTEST_SKIP() << "ThreadSanitizer's own thread keeps a process out of the jail's namespace";
#endif
    std::string pattern = testing::TempDir() + "mutua-take-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    request_.memory_file = folder_ / "shot.memory";
    request_.disk_copy = folder_ / "shot.disk";
    user_ = choose_jail_user(Part::machine);
    int go[2], built[2];
    ASSERT_EQ(::pipe2(go, O_CLOEXEC), 0);
    ASSERT_EQ(::pipe2(built, O_CLOEXEC), 0);
    const auto child = fork_into(CLONE_NEWNS | CLONE_NEWPID, user_);
    if (!child.ok()) GTEST_SKIP() << "no jails on this host: " << child.error().message();
    child_ = *child;
    char byte = 0;
    if (child_ == 0) {
      JailRoot root;
      root.run_dir = folder_;
      root.folders = {kSnapshotFolder};
      const bool entered = ::read(go[0], &byte, 1) == 1 && enter_root(root, user_).ok();
      (void)!::write(built[1], entered ? "y" : "n", 1);
      for (;;) ::pause();
    }
    ASSERT_TRUE(map_ids(child_, user_).ok());
    auto door = open_door(child_, user_);
    ASSERT_TRUE(door.ok()) << door.error().message();
    door_ = std::move(*door);
    ASSERT_EQ(::write(go[1], "g", 1), 1);
    ASSERT_EQ(::read(built[0], &byte, 1), 1);
    ASSERT_EQ(byte, 'y');
    for (const int fd : {go[0], go[1], built[0], built[1]}) ::close(fd);
  }

  void TearDown() override {
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, nullptr, 0);
    }
    fs::remove_all(folder_);
  }

  // The jail's own view of the lent folder.
  fs::path jailed() const { return "/proc/" + std::to_string(child_) + "/root/" + kSnapshotFolder; }
  static void write(const fs::path& path) { std::ofstream(path) << "content"; }

  fs::path folder_;
  SnapshotRequest request_;
  JailUser user_;
  JailDoor door_;
  pid_t child_ = -1;
};

TEST_F(TakeTest, LendsItsFolderForItsTimeAlone) {
  EXPECT_TRUE(fs::is_empty(jailed()));
  {
    const auto take = Take::begin(request_, user_, door_);
    ASSERT_TRUE(take.ok()) << take.error().message();
    write(taking_folder(request_) / "memory");
    EXPECT_TRUE(fs::exists(jailed() / "memory"));
  }
  EXPECT_TRUE(fs::is_empty(jailed()));
  EXPECT_TRUE(fs::is_empty(folder_)) << "nothing is left where nothing was handed over";
}

TEST_F(TakeTest, NoticesMoreThanASnapshot) {
  const auto take = Take::begin(request_, user_, door_);
  ASSERT_TRUE(take.ok()) << take.error().message();
  EXPECT_TRUE(take->is_within(1 << 16));
  write(taking_folder(request_) / "memory");
  EXPECT_TRUE(take->is_within(1 << 16));
  std::ofstream(taking_folder(request_) / "disk") << std::string(1 << 17, 'x');
  EXPECT_FALSE(take->is_within(1 << 16));
  EXPECT_TRUE(take->is_within(1 << 20));
  for (const char* name : {"a", "b", "c"}) write(taking_folder(request_) / name);
  EXPECT_FALSE(take->is_within(1 << 20)) << "five files";
}

TEST_F(TakeTest, HandsBothFilesOver) {
  auto take = Take::begin(request_, user_, door_);
  ASSERT_TRUE(take.ok()) << take.error().message();
  write(taking_folder(request_) / "memory");
  write(taking_folder(request_) / "disk");
  const auto done = take->hand_over();
  ASSERT_TRUE(done.ok()) << done.error().message();
  struct stat memory {
  }, disk{};
  ASSERT_EQ(::stat(request_.memory_file.c_str(), &memory), 0);
  ASSERT_EQ(::stat(request_.disk_copy.c_str(), &disk), 0);
  EXPECT_EQ(memory.st_uid, ::geteuid());
  EXPECT_EQ(memory.st_mode & 07777, 0644u);
  EXPECT_EQ(disk.st_uid, ::geteuid());
  EXPECT_EQ(disk.st_mode & 07777, 0600u);
}

TEST_F(TakeTest, TrustsNothingThatTheJailMade) {
  const fs::path secret = folder_ / "secret";
  write(secret);
  const auto memory = taking_folder(request_) / "memory";
  const std::function<void()> tricks[] = {
      [] {},  // nothing at all
      [&] { fs::create_symlink(secret, memory); },
      [&] { fs::create_directory(memory); },
      [&] { ASSERT_EQ(::mkfifo(memory.c_str(), 0600), 0); },
      [&] {
        write(memory);
        fs::create_hard_link(memory, taking_folder(request_) / "second");
      },
  };
  for (const auto& trick : tricks) {
    auto take = Take::begin(request_, user_, door_);
    ASSERT_TRUE(take.ok()) << take.error().message();
    write(taking_folder(request_) / "disk");
    trick();
    EXPECT_FALSE(take->hand_over().ok());
    EXPECT_FALSE(fs::exists(fs::symlink_status(request_.memory_file)));
    EXPECT_FALSE(fs::exists(fs::symlink_status(request_.disk_copy))) << "both or none";
  }
  EXPECT_TRUE(fs::exists(secret));
}

TEST_F(TakeTest, OverwritesNothingAndRemovesWhatACrashLeft) {
  fs::create_directory(taking_folder(request_));
  write(taking_folder(request_) / "memory.partial");
  {
    const auto take = Take::begin(request_, user_, door_);
    ASSERT_TRUE(take.ok()) << take.error().message();
    EXPECT_TRUE(fs::is_empty(taking_folder(request_)));
  }
  write(request_.disk_copy);
  EXPECT_FALSE(Take::begin(request_, user_, door_).ok());
  EXPECT_TRUE(fs::exists(request_.disk_copy));
  EXPECT_FALSE(fs::exists(taking_folder(request_)));
}

}  // namespace
}  // namespace mutua::vm
