// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Function names by file offset, against nm; and dlopen's places, against readelf.

#include "daemon/elf/symbolizer.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "daemon/base/unique_fd.h"
#include "tests/unit/elf/elf_testing.h"

namespace startscope {
namespace {

struct Functions {
  std::map<uint64_t, std::set<std::string>> names;  // by address
};

// Functions with a size. Symbols' addresses become file offsets by the program headers' first executable
// segment, as readelf prints it.
Functions ByNm(const std::string& path) {
  Functions functions;
  std::istringstream lines(Output("nm -S --defined-only " + path));
  std::string line;
  while (std::getline(lines, line)) {
    unsigned long address = 0;
    unsigned long size = 0;
    char type = 0;
    char name[512];
    if (std::sscanf(line.c_str(), "%lx %lx %c %511s", &address, &size, &type, name) != 4) continue;
    // Functions, weak ones, and those that choose another at load time.
    if (std::string("tTwWi").find(type) != std::string::npos && size > 4) {
      functions.names[address].insert(name);
    }
  }
  return functions;
}

// Address less file offset of the executable segment.
uint64_t CodeBias(const std::string& path) {
  std::istringstream lines(Output("readelf -lW " + path));
  std::string line;
  while (std::getline(lines, line)) {
    unsigned long offset = 0;
    unsigned long address = 0;
    if (line.find(" R E ") == std::string::npos) continue;
    if (std::sscanf(line.c_str(), " LOAD %lx %lx", &offset, &address) == 2) return address - offset;
  }
  ADD_FAILURE() << path << " has no code";
  return 0;
}

class SymbolizerTest : public ::testing::TestWithParam<const char*> {};

TEST_P(SymbolizerTest, NamesTheFunctionThatNmPutsThere) {
  const std::string path = Program(GetParam());
  const Functions functions = ByNm(path);
  const uint64_t bias = CodeBias(path);
  std::vector<uint64_t> offsets;
  std::vector<const std::set<std::string>*> wanted;
  for (const auto& [address, names] : functions.names) {
    offsets.push_back(address - bias + 3);  // inside, not at the begin
    wanted.push_back(&names);
  }
  ASSERT_FALSE(offsets.empty());
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const std::vector<std::string> found = FindFunctions(fd.get(), offsets, {});
  ASSERT_EQ(found.size(), offsets.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_TRUE(wanted[i]->contains(found[i])) << found[i] << " at " << std::hex << offsets[i];
  }
}

INSTANTIATE_TEST_SUITE_P(Programs, SymbolizerTest,
                         ::testing::Values("hello_glibc_dynamic", "hello_glibc_static",
                                           "hello_musl_static", "freestanding_c"));

TEST(SymbolizerFilesTest, GoNamesItsFunctionsWithoutASymbolTable) {
  const std::string whole = Program("hello_go");
  uint64_t main_address = 0;
  for (const auto& [address, names] : ByNm(whole).names) {
    if (names.contains("main.main")) main_address = address;
  }
  ASSERT_NE(main_address, 0u);
  const UniqueFd fd(open(Program("hello_go_stripped").c_str(), O_RDONLY | O_CLOEXEC));
  const auto found = FindFunctions(fd.get(), {main_address - CodeBias(whole) + 5}, {});
  EXPECT_EQ(found.at(0), "main.main");
}

TEST(SymbolizerFilesTest, KnowsNothingOutsideOfFunctions) {
  const UniqueFd fd(open(Program("hello_glibc_dynamic").c_str(), O_RDONLY | O_CLOEXEC));
  const auto found = FindFunctions(fd.get(), {0, 1, UINT64_MAX, uint64_t{1} << 40}, {});
  EXPECT_EQ(found, std::vector<std::string>(4));
  EXPECT_TRUE(FindFunctions(fd.get(), {}, {}).empty());
  const UniqueFd text(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(FindFunctions(text.get(), {10}, {}), std::vector<std::string>(1));
}

TEST(SymbolizerFilesTest, DamagedFilesDoNoHarm) {
  std::ifstream file(Program("hello_glibc_dynamic"), std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  const std::string whole = bytes.str();
  const std::string path = ::testing::TempDir() + "damaged_symbols";
  for (size_t size = 0; size < whole.size(); size += 487) {
    std::ofstream(path, std::ios::binary) << whole.substr(0, size);
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(FindFunctions(fd.get(), {0x1139, 0x1050}, {}).size(), 2u) << size;
  }
}

TEST(LibraryMarksTest, DlopenLiesWhereReadelfSaysItDoes) {
  const std::string libc = "/lib/x86_64-linux-gnu/libc.so.6";
  const UniqueFd fd(open(libc.c_str(), O_RDONLY | O_CLOEXEC));
  InspectOptions options;
  options.path_label = libc;
  options.is_library = true;
  const ImageFacts facts = InspectImage(fd.get(), options);
  EXPECT_EQ(facts.kind, ImageKind::kLibrary);
  EXPECT_EQ(facts.soname, "libc.so.6");
  std::map<std::string, uint64_t> addresses;
  std::istringstream lines(Output("readelf --dyn-syms -W " + libc));
  std::string line;
  while (std::getline(lines, line)) {
    unsigned long address = 0;
    char name[512];
    if (std::sscanf(line.c_str(), " %*d: %lx %*s FUNC %*s %*s %*s %511s", &address, name) != 2) continue;
    const std::string plain = std::string(name).substr(0, std::string(name).find('@'));
    addresses[plain] = address;
  }
  ASSERT_EQ(facts.sites.size(), 2u);
  for (const MarkSite& site : facts.sites) {
    EXPECT_EQ(site.address, addresses.at(site.symbol));
    EXPECT_EQ(site.address - site.file_offset, CodeBias(libc));
    EXPECT_EQ(site.skew_bytes, 0u);  // its arguments are read there
  }
  std::set<std::string> names;
  for (const MarkSite& site : facts.sites) names.insert(site.symbol);
  EXPECT_EQ(names, (std::set<std::string>{"dlopen", "dlclose"}));
}

}  // namespace
}  // namespace startscope
