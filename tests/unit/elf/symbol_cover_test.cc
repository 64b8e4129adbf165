// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The symbolizer against readelf on the machine's own files: at the first byte, the last byte, and
// the byte behind every function.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "daemon/base/unique_fd.h"
#include "daemon/elf/symbolizer.h"
#include "tests/unit/elf/elf_testing.h"

namespace startscope {
namespace {

constexpr size_t kLongestName = 512;  // of longer ones, the begin is told

struct Function {
  uint64_t address = 0;
  uint64_t size = 0;
  std::string name;
};

struct Truth {
  std::vector<Function> functions;
  std::vector<std::array<uint64_t, 3>> code;  // address, file offset, size

  // Names of the smallest functions that hold an address; empty: none does.
  [[nodiscard]] std::set<std::string> At(uint64_t address) const {
    uint64_t smallest = UINT64_MAX;
    std::set<std::string> names;
    for (const Function& function : functions) {
      if (address < function.address || address - function.address >= function.size) continue;
      if (function.size < smallest) names.clear();
      smallest = std::min(smallest, function.size);
      if (function.size == smallest) names.insert(function.name);
    }
    return names;
  }
  [[nodiscard]] std::optional<uint64_t> OffsetOf(uint64_t address) const {
    for (const auto& [begin, offset, size] : code) {
      if (address >= begin && address - begin < size) return offset + (address - begin);
    }
    return std::nullopt;
  }
};

// `table` is an option of readelf: --syms or --dyn-syms, of which it prints what there is.
Truth ByReadelf(const std::string& path, const std::string& table) {
  Truth truth;
  std::istringstream segments(Output("readelf -lW " + path));
  std::string line;
  while (std::getline(segments, line)) {
    unsigned long offset = 0, address = 0, physical = 0, file_size = 0;
    if (line.find(" R E ") == std::string::npos && line.find(" RWE ") == std::string::npos)
      continue;
    if (std::sscanf(line.c_str(), " LOAD %lx %lx %lx %lx", &offset, &address, &physical,
                    &file_size) == 4) {
      truth.code.push_back({address, offset, file_size});
    }
  }
  std::istringstream symbols(Output("readelf " + table + " -W " + path + " 2>/dev/null"));
  while (std::getline(symbols, line)) {
    std::istringstream fields(line);
    std::string index, value, size, type, bind, visibility, section, name;
    fields >> index >> value >> size >> type >> bind >> visibility >> section >> name;
    if (type != "FUNC" && type != "IFUNC" && type != "NOTYPE") continue;
    if (section == "UND" || name.empty()) continue;
    const Function function{std::stoull(value, nullptr, 16), std::stoull(size, nullptr, 0),
                            name.substr(0, name.find('@')).substr(0, kLongestName)};
    if (function.address != 0 && function.size != 0) truth.functions.push_back(function);
  }
  return truth;
}

std::vector<std::string> FunctionsAt(const std::string& path,
                                     const std::vector<uint64_t>& offsets) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_TRUE(fd.valid()) << path;
  return FindFunctions(fd.get(), offsets, {});
}

std::string OwnPath() { return Output("readlink -nf /proc/" + std::to_string(getpid()) + "/exe"); }

void ExpectAgreement(const std::string& path, const std::string& table, size_t at_least) {
  const Truth truth = ByReadelf(path, table);
  ASSERT_GE(truth.functions.size(), at_least) << path;
  std::vector<uint64_t> addresses;
  // Every function of small files, some of large ones: the truth takes quadratic time.
  const size_t step = truth.functions.size() / 1500 + 1;
  for (size_t i = 0; i < truth.functions.size(); i += step) {
    const Function& function = truth.functions[i];
    for (const uint64_t address : {function.address, function.address + function.size - 1,
                                   function.address + function.size}) {
      if (truth.OffsetOf(address)) addresses.push_back(address);
    }
  }
  ASSERT_FALSE(addresses.empty());
  std::shuffle(addresses.begin(), addresses.end(), std::mt19937(1));
  std::vector<uint64_t> offsets;
  for (const uint64_t address : addresses) offsets.push_back(*truth.OffsetOf(address));
  const std::vector<std::string> found = FunctionsAt(path, offsets);
  ASSERT_EQ(found.size(), offsets.size());
  int wrong = 0;
  for (size_t i = 0; i < found.size() && wrong < 10; ++i) {
    const std::set<std::string> names = truth.At(addresses[i]);
    const bool right = names.empty() ? found[i].empty() : names.contains(found[i]);
    if (right) continue;
    ++wrong;
    ADD_FAILURE() << path << " at " << std::hex << addresses[i] << ": \"" << found[i]
                  << "\", not \"" << (names.empty() ? "" : *names.begin()) << '"';
  }
}

TEST(SymbolCoverTest, TheCLibraryByItsDynamicSymbols) {
  ExpectAgreement("/lib/x86_64-linux-gnu/libc.so.6", "--dyn-syms", 1000);
}

TEST(SymbolCoverTest, TheLoader) { ExpectAgreement(kGlibcLoader, "--dyn-syms", 5); }

TEST(SymbolCoverTest, AStrippedProgramByWhatItExports) {
  ExpectAgreement("/bin/ls", "--dyn-syms", 1);
}

TEST(SymbolCoverTest, ProgramsByTheirSymbolTable) {
  for (const char* name : {"hello_glibc_dynamic", "hello_glibc_static", "hello_glibc_static_pie",
                           "hello_musl_static", "hello_rust", "freestanding_c"}) {
    ExpectAgreement(Program(name), "--syms", 1);
  }
}

TEST(SymbolCoverTest, ItselfByItsSymbolTable) { ExpectAgreement(OwnPath(), "--syms", 1000); }

// As the names of template functions may well be.
#define SS_TEN(text) text text text text text text text text text text
__attribute__((noinline, used)) void LongNamed() __asm__(SS_TEN(SS_TEN("abcdefg_")));
void LongNamed() { __asm__ volatile(""); }

TEST(SymbolCoverTest, NamesThatAreVeryLongAreCut) {
  const std::string path = OwnPath();
  const Truth truth = ByReadelf(path, "--syms");
  for (const Function& function : truth.functions) {
    if (function.name.rfind("abcdefg_abcdefg_", 0) != 0) continue;
    ASSERT_EQ(function.name.size(), kLongestName);
    const uint64_t offset = truth.OffsetOf(function.address).value();
    EXPECT_EQ(FunctionsAt(path, {offset}).at(0), function.name);
    return;
  }
  FAIL() << "there is none";
}

TEST(SymbolCoverTest, AStrippedProgramsOwnFunctionsHaveNoName) {
  const Truth whole = ByReadelf(Program("hello_glibc_dynamic"), "--syms");
  for (const Function& function : whole.functions) {
    if (function.name != "main") continue;
    const uint64_t offset = whole.OffsetOf(function.address).value();
    EXPECT_EQ(FunctionsAt(Program("hello_glibc_dynamic"), {offset}).at(0), "main");
    EXPECT_EQ(FunctionsAt(Program("hello_glibc_dynamic_stripped"), {offset}).at(0), "");
    return;
  }
  FAIL() << "there is no main";
}

TEST(SymbolCoverTest, SymbolsInAFileBesideItAreFoundByItsDebugLink) {
  const std::string path = Sample("debuglink_sha1");
  const Truth truth = ByReadelf(Sample("debug") + path + ".debug", "--syms");
  const Truth code = ByReadelf(path, "--syms");
  for (const Function& function : truth.functions) {
    if (function.name != "main") continue;
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    SymbolizeOptions options;
    DebugCandidates debug(fd, path, {.debug_directory = Sample("debug"), .debuginfod_cache = ""});
    options.debug_candidates = debug.sources();
    const std::vector<uint64_t> offsets = {code.OffsetOf(function.address + 1).value()};
    EXPECT_EQ(FindFunctions(fd.get(), offsets, options).at(0), "main");
    return;
  }
  FAIL() << "there is no main";
}

TEST(SymbolCoverTest, TheSamePlaceMayBeAskedForTwice) {
  const Truth truth = ByReadelf("/lib/x86_64-linux-gnu/libc.so.6", "--dyn-syms");
  const uint64_t offset = truth.OffsetOf(truth.functions[0].address).value();
  const auto found =
      FunctionsAt("/lib/x86_64-linux-gnu/libc.so.6", {offset, 0, offset, UINT64_MAX});
  EXPECT_EQ(found[0], found[2]);
  EXPECT_NE(found[0], "");
  EXPECT_EQ(found[1], "");
  EXPECT_EQ(found[3], "");
}

TEST(SymbolCoverTest, ThatWhichIsNoRegularFileHasNoFunctions) {
  const UniqueFd directory(open("/usr", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const UniqueFd device(open("/dev/zero", O_RDONLY | O_CLOEXEC));
  for (const int fd : {directory.get(), device.get(), -1}) {
    EXPECT_EQ(FindFunctions(fd, {1, 2}, {}), std::vector<std::string>(2));
  }
}

// Every byte of the headers that lead to the symbols, changed or cut off.
TEST(SymbolCoverTest, DamagedHeadersDoNoHarm) {
  const std::vector<uint8_t> whole = FileBytes(Program("freestanding_c"));
  ASSERT_GT(whole.size(), 64u);
  const UniqueFd fd(memfd_create("damaged", MFD_CLOEXEC));
  const auto lookup = [&](const std::vector<uint8_t>& bytes) {
    ASSERT_EQ(ftruncate(fd.get(), 0), 0);
    ASSERT_EQ(pwrite(fd.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    EXPECT_EQ(FindFunctions(fd.get(), {0x1000, 0x10}, {}).size(), 2u);
  };
  std::mt19937 random(11);
  for (int round = 0; round < 2000; ++round) {
    std::vector<uint8_t> bytes = whole;
    for (int i = 0; i < 3; ++i) {
      // The header, or the section headers at the end.
      const size_t at = random() % 2 ? random() % 256 : bytes.size() - 1 - random() % 1024;
      bytes[at] = static_cast<uint8_t>(random());
    }
    lookup(bytes);
    bytes.resize(random() % whole.size());
    lookup(bytes);
  }
}

}  // namespace
}  // namespace startscope
