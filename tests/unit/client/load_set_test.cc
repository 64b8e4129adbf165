// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/load_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <sstream>

namespace startscope {
namespace {

using testing::Contains;

std::string Real(const std::string& path) {
  const std::unique_ptr<char, decltype(&free)> resolved(realpath(path.c_str(), nullptr), &free);
  return resolved ? resolved.get() : "";
}

std::string Write(const std::string& name, const std::string& bytes) {
  const std::string path = testing::TempDir() + name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

TEST(LoadSet, AProgramItsLoaderAndItsLibraries) {
  const auto files = FilesToLoad({.exec_path = "/bin/ls", .images = {"/bin/ls"}});
  EXPECT_THAT(files, Contains(Real("/bin/ls")));
  EXPECT_THAT(files, Contains(Real("/lib64/ld-linux-x86-64.so.2")));
  EXPECT_THAT(files, Contains(Real("/lib/x86_64-linux-gnu/libc.so.6")));
  EXPECT_THAT(files, Contains(Real("/lib/x86_64-linux-gnu/libselinux.so.1")));
  EXPECT_THAT(files, Contains("/etc/ld.so.cache"));
  for (const std::string& file : files) EXPECT_EQ(file, Real(file));
}

TEST(LoadSet, AScriptIsReadToo) {
  const std::string script = Write("script.sh", "#!/bin/sh\n");
  const auto files = FilesToLoad({.exec_path = script, .images = {"/bin/sh"}});
  EXPECT_THAT(files, Contains(Real(script)));
  EXPECT_THAT(files, Contains(Real("/bin/sh")));
}

TEST(LoadSet, LibrariesAreWhatIsNeitherTheProgramNorTheCache) {
  const auto files = LibrariesToLoad({.exec_path = "/bin/ls", .images = {"/bin/ls"}});
  EXPECT_THAT(files, Contains(Real("/lib64/ld-linux-x86-64.so.2")));
  EXPECT_THAT(files, Contains(Real("/lib/x86_64-linux-gnu/libc.so.6")));
  EXPECT_THAT(files, testing::Not(Contains(Real("/bin/ls"))));
  EXPECT_THAT(files, testing::Not(Contains("/etc/ld.so.cache")));
}

TEST(LoadSet, FilesThatWereMapped) {
  startscope::v1::Startup startup;
  const auto add = [&](const char* path, uint64_t inode, bool deleted) {
    auto* object = startup.add_objects();
    object->set_path(path);
    object->set_inode(inode);
    object->set_deleted(deleted);
  };
  add("/bin/ls", 7, false);
  add("/bin/sh", 8, true);
  add("[heap]", 0, false);
  add("/nonexistent", 9, false);
  EXPECT_EQ(FilesMapped(startup), std::vector<std::string>{Real("/bin/ls")});
}

TEST(ProgramInterpreterTest, OfWhatIsNoProgram) {
  EXPECT_EQ(ProgramInterpreter("/bin/ls"), "/lib64/ld-linux-x86-64.so.2");
  EXPECT_EQ(ProgramInterpreter("/nonexistent"), "");
  EXPECT_EQ(ProgramInterpreter("/dev/zero"), "");
  EXPECT_EQ(ProgramInterpreter(Write("text", "#!/bin/sh\n")), "");
  EXPECT_EQ(ProgramInterpreter(Write("short", "\x7f" "ELF")), "");
}

TEST(ProgramInterpreterTest, OfDamagedFiles) {
  std::ifstream file("/bin/ls", std::ios::binary);
  std::ostringstream whole;
  whole << file.rdbuf();
  for (size_t at = 0; at < 1024; ++at) {
    std::string bytes = whole.str().substr(0, 4096);
    bytes[at] = static_cast<char>(bytes[at] ^ 0xff);
    EXPECT_LE(ProgramInterpreter(Write("damaged", bytes)).size(), 4096u);
  }
}

}  // namespace
}  // namespace startscope
