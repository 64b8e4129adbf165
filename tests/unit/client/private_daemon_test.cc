// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

#include "tests/unit/client/client_program.h"

namespace startscope {
namespace {

using testing::HasSubstr;

// The client starts a private daemon only as root and only where no system daemon runs, so each
// test states what it expects of both kinds of caller.
class PrivateDaemonTest : public testing::Test {
 protected:
  PrivateDaemonTest() {
    std::string pattern = testing::TempDir() + "startscope-private-XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~PrivateDaemonTest() override { std::filesystem::remove_all(directory_); }

  ClientResult Client(const std::vector<std::string>& arguments,
                      ClientProgram::Environment environment = {}) {
    environment["STARTSCOPE_DAEMON"] = FakeDaemonProgram();
    environment["FAKE_DAEMON_MARK"] = mark();
    return RunClient(arguments, environment);
  }
  std::string mark() const { return directory_ + "/mark"; }
  static bool is_root() { return geteuid() == 0; }

  std::string directory_;
};

TEST_F(PrivateDaemonTest, RunUsesOneAndWaitsForItsEnd) {
  const ClientResult result = Client({"run", "--", "true"});
  EXPECT_EQ(result.code, is_root() ? 0 : 3) << result.err;
  EXPECT_EQ(std::filesystem::exists(mark()), is_root());
  EXPECT_THAT(result.err, HasSubstr(is_root() ? "private (pid" : "run as root"));
}

TEST_F(PrivateDaemonTest, StatusUsesOne) {
  const ClientResult result = Client({"status"});
  EXPECT_EQ(result.code, is_root() ? 0 : 3) << result.err;
  EXPECT_THAT(result.out + result.err, HasSubstr(is_root() ? "private-test" : "run as root"));
}

TEST_F(PrivateDaemonTest, ListAndShowNeedTheRealOne) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"list"}, {"show", "last"}}) {
    const ClientResult result = Client(arguments);
    EXPECT_EQ(result.code, 3);
    EXPECT_THAT(result.err, HasSubstr("know nothing of the past"));
  }
  EXPECT_FALSE(std::filesystem::exists(mark()));
}

TEST_F(PrivateDaemonTest, ANamedAddressIsNeverReplacedByOne) {
  EXPECT_EQ(Client({"--address", "unix:///no/such/socket", "status"}).code, 3);
  EXPECT_EQ(Client({"status"}, {{"STARTSCOPE_ADDRESS", "unix:///no/such/socket"}}).code, 3);
  EXPECT_FALSE(std::filesystem::exists(mark()));
}

TEST_F(PrivateDaemonTest, ItsLastWordsReachTheUserMadeSafe) {
  const ClientResult result = Client({"run", "--", "touch", directory_ + "/ran"},
                                     {{"FAKE_DAEMON_FAIL", "no BTF \x1b[31min this kernel"}});
  EXPECT_EQ(result.code, is_root() ? 4 : 3);
  if (is_root()) {
    EXPECT_THAT(result.err, HasSubstr("no BTF \\x1b[31min this kernel"));
  }
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/ran"));
}

TEST_F(PrivateDaemonTest, ItsDeathInTheMiddleIsTold) {
  const ClientResult result = Client({"watch"}, {{"FAKE_DAEMON_DIE", "1"}});
  EXPECT_EQ(result.code, is_root() ? 4 : 3);
  EXPECT_THAT(result.err, HasSubstr(is_root() ? "went away in the middle" : "run as root"));
}

TEST_F(PrivateDaemonTest, OneThatDoesNotEndByItselfIsTerminated) {
  const ClientResult result = Client({"status"}, {{"FAKE_DAEMON_STUBBORN", "1"}});
  EXPECT_EQ(result.code, is_root() ? 0 : 3) << result.err;
  EXPECT_EQ(std::filesystem::exists(mark()), is_root());
}

TEST_F(PrivateDaemonTest, AnAbsentProgramIsNamed) {
  const ClientResult result =
      RunClient({"status"}, {{"STARTSCOPE_DAEMON", "/no/such/startscoped"}});
  EXPECT_EQ(result.code, 3);
  EXPECT_THAT(result.err, HasSubstr(is_root() ? "/no/such/startscoped" : "run as root"));
}

}  // namespace
}  // namespace startscope
