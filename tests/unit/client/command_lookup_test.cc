// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/command_lookup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

namespace startscope {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CommandLookup : public testing::Test {
 protected:
  CommandLookup() {
    std::string pattern = testing::TempDir() + "startscope-lookup-XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~CommandLookup() override { std::filesystem::remove_all(directory_); }

  std::string Make(const std::string& name, const std::string& content, mode_t mode) {
    const std::string path = directory_ + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << content;
    chmod(path.c_str(), mode);
    return path;
  }
  static Failure FailureOf(const std::variant<ResolvedCommand, Failure>& result) {
    const auto* failure = std::get_if<Failure>(&result);
    return failure == nullptr ? Failure{} : *failure;
  }
  static ResolvedCommand Found(const std::variant<ResolvedCommand, Failure>& result) {
    const auto* found = std::get_if<ResolvedCommand>(&result);
    return found == nullptr ? ResolvedCommand{} : *found;
  }

  std::string directory_;
};

TEST_F(CommandLookup, NamesWithoutASlashAreSearchedInOrder) {
  Make("b/tool", "\177ELF", 0755);
  const std::string first = Make("a/tool", "\177ELF", 0755);
  const std::string path = directory_ + "/none:" + directory_ + "/a:" + directory_ + "/b";
  const ResolvedCommand found = Found(ResolveCommand("tool", path));
  EXPECT_EQ(found.exec_path, first);
  EXPECT_THAT(found.images, ElementsAre(first));
}

TEST_F(CommandLookup, ALoadersProgramIsItsFirstArgumentThatIsNoOption) {
  EXPECT_EQ(ProgramForLoader({"/lib64/ld-linux-x86-64.so.2", "/bin/ls", "/tmp"}), "/bin/ls");
  EXPECT_EQ(ProgramForLoader({"ld.so", "--library-path", "/lib", "--inhibit-cache", "/bin/ls"}),
            "/bin/ls");
  EXPECT_EQ(ProgramForLoader({"ld-musl-x86_64.so.1", "--preload=/lib/a.so", "--", "/bin/ls"}),
            "/bin/ls");
}

TEST_F(CommandLookup, OnlyALoaderHasAProgramToRun) {
  EXPECT_EQ(ProgramForLoader({"/bin/ls", "/tmp"}), std::nullopt);
  EXPECT_EQ(ProgramForLoader({"/lib64/ld-linux-x86-64.so.2", "--help"}), std::nullopt);
  EXPECT_EQ(ProgramForLoader({"/lib64/ld-linux-x86-64.so.2", "--argv0"}), std::nullopt);
  EXPECT_EQ(ProgramForLoader({"/lib64/ld-linux-x86-64.so.2", "found-by-the-loader"}), std::nullopt);
  EXPECT_EQ(ProgramForLoader({}), std::nullopt);
}

TEST_F(CommandLookup, AFileThatMayNotBeExecutedIsPassedOver) {
  Make("a/tool", "\177ELF", 0644);
  const std::string second = Make("b/tool", "\177ELF", 0755);
  const std::string path = directory_ + "/a:" + directory_ + "/b";
  EXPECT_EQ(Found(ResolveCommand("tool", path)).exec_path, second);
}

TEST_F(CommandLookup, OnlyAFileThatMayNotBeExecutedIs126) {
  Make("a/tool", "\177ELF", 0644);
  EXPECT_EQ(FailureOf(ResolveCommand("tool", directory_ + "/a")).exit_code, kExitNotExecutable);
}

TEST_F(CommandLookup, NothingFoundIs127AndNamesTheRemedy) {
  const Failure failure = FailureOf(ResolveCommand("no-such-tool", directory_));
  EXPECT_EQ(failure.exit_code, kExitCommandNotFound);
  EXPECT_THAT(std::string(failure.status.message()), HasSubstr("PATH"));
}

TEST_F(CommandLookup, APathIsNotSearched) {
  EXPECT_EQ(FailureOf(ResolveCommand("./tool", directory_)).exit_code, kExitCommandNotFound);
  EXPECT_EQ(FailureOf(ResolveCommand("", directory_)).exit_code, kExitCommandNotFound);
}

TEST_F(CommandLookup, DirectoriesAndSpecialFilesAre126) {
  const Failure directory = FailureOf(ResolveCommand(directory_, ""));
  EXPECT_EQ(directory.exit_code, kExitNotExecutable);
  EXPECT_THAT(std::string(directory.status.message()), HasSubstr("directory"));
  EXPECT_EQ(FailureOf(ResolveCommand("/dev/null", "")).exit_code, kExitNotExecutable);
}

TEST_F(CommandLookup, ScriptsArePreparedByTheirInterpreter) {
  const std::string script = Make("script", "#!/bin/sh -e\nexit\n", 0755);
  EXPECT_THAT(Found(ResolveCommand(script, "")).images, ElementsAre("/bin/sh"));
}

TEST_F(CommandLookup, EnvIsFollowedToWhatItFinds) {
  const std::string tool = Make("a/tool", "\177ELF", 0755);
  const std::string script = Make("script", "#!/usr/bin/env tool\n", 0755);
  EXPECT_THAT(Found(ResolveCommand(script, directory_ + "/a")).images,
              ElementsAre("/usr/bin/env", tool));
}

TEST_F(CommandLookup, TextWithoutAnInterpreterLineGoesToTheShell) {
  const std::string script = Make("script", "exit 3\n", 0755);
  EXPECT_THAT(Found(ResolveCommand(script, "")).images, ElementsAre("/bin/sh"));
}

TEST_F(CommandLookup, AMissingInterpreterIsToldFromAMissingFile) {
  const std::string script = Make("script", "#!/no/such/interpreter\n", 0755);
  const Failure failure = ExecFailure(script, ENOENT);
  EXPECT_EQ(failure.exit_code, kExitCommandNotFound);
  EXPECT_THAT(std::string(failure.status.message()), HasSubstr("interpreter"));
}

TEST_F(CommandLookup, OtherExecErrorsAre126) {
  const std::string file = Make("file", "\177ELF", 0755);
  EXPECT_EQ(ExecFailure(file, ENOEXEC).exit_code, kExitNotExecutable);
  EXPECT_EQ(ExecFailure(file, E2BIG).exit_code, kExitNotExecutable);
  EXPECT_EQ(ExecFailure(file, ETXTBSY).exit_code, kExitNotExecutable);
}

}  // namespace
}  // namespace startscope
