#include "peer/audit/check.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "base/durable_file.h"
#include "peer/audit/run_check.h"
#include "support/temporary_folder.h"

namespace mutua::peer {
namespace {

using std::chrono::seconds;

TEST(Check, HttpExpectationsAreRead) {
  const std::string digest = trust::sha256(Bytes{1}).to_text();
  const Check check =
      Check::parse("http:/a;status=404;digest=" + digest + ";pattern=x;y|z").value();
  const auto& http = std::get<HttpCheck>(check.expectation);
  EXPECT_EQ(http.path, "/a");
  EXPECT_EQ(http.status, 404U);
  EXPECT_EQ(http.digest->to_text(), digest);
  EXPECT_TRUE(http.pattern->is_found_in(as_bytes("..x;y..")));
  EXPECT_FALSE(http.pattern->is_found_in(as_bytes("..x.y..")));
  EXPECT_TRUE(check.is_public());
  EXPECT_FALSE(Check::parse("exec:/bin/true").value().is_public());
}

TEST(Check, WhatIsNoCheckIsRefused) {
  for (const char* text : {"", "http", "http:", "http:a", "http:/a b", "http:/;status=1",
                           "http:/;status=2x", "http:/;digest=md5:0", "http:/;pattern=(",
                           "http:/;size=1", "http:/;", "exec:relative", "ftp:/", "tcp:80"}) {
    EXPECT_FALSE(Check::parse(text).ok()) << text;
  }
}

TEST(Check, APatternIsSearchedInLongTextsAndBehindZeroes) {
  const Pattern pattern = Pattern::compile("(a|b)*c").value();
  EXPECT_FALSE(pattern.is_found_in(Bytes(1 << 20, 'a')));
  Bytes text(1 << 20, 'a');
  text[5] = 0;
  text.back() = 'c';
  EXPECT_TRUE(pattern.is_found_in(text));
  EXPECT_FALSE(pattern.is_found_in({}));
}

class ExecChecks : public ::testing::Test {
 protected:
  Finding run(const std::string& script, std::chrono::milliseconds timeout = seconds(10)) {
    const auto program = folder_ / "program";
    write_file_durably(program, as_bytes("#!/bin/sh\n" + script + "\n"), 0755).value();
    return run_exec_check({program.string()}, SocketAddress::parse("127.0.0.9:81").value(),
                          "blog.fed.test", timeout);
  }
  test::TemporaryFolder folder_;
};

TEST_F(ExecChecks, TheProgramLearnsWhatToCheck) {
  const Finding finding =
      run("test \"$1 $2 $MUTUA_ADDRESS $MUTUA_PORT $MUTUA_SERVICE\" = "
          "'127.0.0.9 81 127.0.0.9 81 blog.fed.test' && printf evidence");
  EXPECT_EQ(finding.outcome, Outcome::passed);
  EXPECT_EQ(finding.evidence, trust::sha256(as_bytes("evidence")));
}

TEST_F(ExecChecks, AnotherStatusIsAnAlteredReplica) {
  EXPECT_EQ(run("exit 3").outcome, Outcome::altered);
}

TEST_F(ExecChecks, AProgramThatDoesNotEndIsKilledWithItsChildren) {
  const Finding finding = run("sleep 1000 & sleep 1000", std::chrono::milliseconds(300));
  EXPECT_EQ(finding.outcome, Outcome::unreachable);
  EXPECT_THAT(finding.detail, ::testing::HasSubstr("in time"));
}

TEST_F(ExecChecks, AMissingProgramSaysNothingAgainstTheReplica) {
  const Finding finding = run_exec_check(
      {"/nonexistent"}, SocketAddress::parse("127.0.0.1:1").value(), "blog.fed.test", seconds(1));
  EXPECT_EQ(finding.outcome, Outcome::unchecked);
}

}  // namespace
}  // namespace mutua::peer
