#include "peer/supervisor/journal.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/durable_file.h"
#include "support/temporary_folder.h"

namespace mutua::peer {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

JournalEntry sample(const std::string& service) {
  JournalEntry entry;
  entry.service = service;
  entry.role = Role::owner;
  entry.held = {trust::sha256(Bytes{1}), trust::sha256(Bytes{2}), trust::sha256(Bytes{3})};
  entry.checks = {"http:/;pattern=\"x\"", "exec:/bin/true"};
  entry.every = std::chrono::milliseconds(2500);
  return entry;
}

TEST(Journal, WhatWasPutIsLoaded) {
  test::TemporaryFolder folder;
  const Journal journal = Journal::open(folder / "services").value();
  JournalEntry host;
  host.service = "b.fed.test";
  host.runs_here = false;
  journal.put(sample("a.fed.test")).value();
  journal.put(host).value();
  EXPECT_THAT(journal.load().value(), UnorderedElementsAre(sample("a.fed.test"), host));
  journal.remove("a.fed.test").value();
  journal.remove("a.fed.test").value();
  EXPECT_THAT(journal.load().value(), UnorderedElementsAre(host));
}

TEST(Journal, ADamagedEntryIsAnErrorThatNamesItsFile) {
  test::TemporaryFolder folder;
  const Journal journal = Journal::open(folder.path()).value();
  for (const char* content : {"", "{", "{}", R"({"version":2})"}) {
    write_file_durably(folder / "a.fed.test.json", as_bytes(content)).value();
    EXPECT_THAT(journal.load().error().message(), HasSubstr("a.fed.test.json")) << content;
  }
}

TEST(Journal, ALeftOverTemporaryFileIsNoEntry) {
  test::TemporaryFolder folder;
  const Journal journal = Journal::open(folder.path()).value();
  write_file_durably(folder / ".a.fed.test.json.Xy12Ab", as_bytes("{\"ver")).value();
  EXPECT_TRUE(journal.load().value().empty());
}

// Kills a process that rewrites an entry without end, at many points: what is loaded then is
// always a whole entry.
TEST(Journal, AWriterKilledAtAnyPointLeavesAWholeEntry) {
  test::TemporaryFolder folder;
  const Journal journal = Journal::open(folder.path()).value();
  journal.put(sample("a.fed.test")).value();
  for (int round = 0; round < 30; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      JournalEntry entry = sample("a.fed.test");
      for (int count = 0;; ++count) {
        entry.every = std::chrono::milliseconds(count);
        if (!journal.put(entry).ok()) _exit(1);
      }
    }
    ::usleep(static_cast<useconds_t>(500 * round));  // the point of the kill, not a synchronisation
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    const auto entries = journal.load().value();
    ASSERT_EQ(entries.size(), 1U);
    EXPECT_EQ(entries[0].checks, sample("a.fed.test").checks);
  }
}

}  // namespace
}  // namespace mutua::peer
