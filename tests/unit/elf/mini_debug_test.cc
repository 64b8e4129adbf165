// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Symbols that a stripped file carries compressed in .gnu_debugdata.

#include "daemon/elf/mini_debug.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <string>
#include <vector>

#include "daemon/base/unique_fd.h"
#include "daemon/elf/symbolizer.h"
#include "tests/unit/elf/elf_testing.h"

namespace startscope {
namespace {

std::vector<uint8_t> Unpack(const std::string& path) {
  const std::vector<uint8_t> bytes = FileBytes(path);
  MemoryByteSource source(bytes);
  ElfFile file(&source);
  return ReadMiniDebug(&file);
}

TEST(MiniDebugTest, IsWhatXzUnpacks) {
  EXPECT_EQ(Unpack(Sample("linked_pie_mini")), FileBytes(Sample("linked_pie_table")));
}

TEST(MiniDebugTest, AFileWithoutItHasNone) {
  EXPECT_TRUE(Unpack(Sample("linked_pie_stripped")).empty());
}

TEST(MiniDebugTest, NamesMainAndInitFunctionsOfAStrippedProgram) {
  const ImageFacts whole = Inspect(Sample("linked_pie"));
  const ImageFacts mini = Inspect(Sample("linked_pie_mini"));
  ASSERT_NE(Site(mini, MarkKind::kMain), nullptr);
  EXPECT_EQ(Site(mini, MarkKind::kMain)->rung, SiteRung::kMiniDebug);
  EXPECT_EQ(Site(mini, MarkKind::kMain)->address, Site(whole, MarkKind::kMain)->address);
  EXPECT_FALSE(mini.has_symtab);
  ASSERT_EQ(mini.init_functions.size(), whole.init_functions.size());
  for (size_t i = 0; i < whole.init_functions.size(); ++i) {
    EXPECT_EQ(mini.init_functions[i].symbol, whole.init_functions[i].symbol);
    EXPECT_EQ(mini.init_functions[i].unit, whole.init_functions[i].unit);
    EXPECT_EQ(mini.init_functions[i].rung, SiteRung::kMiniDebug);
  }
}

TEST(MiniDebugTest, NamesInitFunctionsOfALibrary) {
  const ImageFacts facts = InspectLibrary(Sample("linked_library.so_mini"));
  bool found = false;
  for (const InitFunction& function : facts.init_functions) {
    found |= function.symbol.find("ConstructInC") != std::string::npos &&
             function.rung == SiteRung::kMiniDebug;
  }
  EXPECT_TRUE(found);
}

TEST(MiniDebugTest, NamesFunctionsForTheSymbolizer) {
  const std::string path = Sample("linked_pie_mini");
  const auto main = ReadelfSymbol(Sample("linked_pie"), "main");
  ASSERT_TRUE(main);
  const ImageFacts facts = Inspect(path);
  uint64_t offset = 0;
  for (const LoadSegment& segment : facts.segments) {
    if (main->address - segment.address < segment.file_bytes && segment.executable) {
      offset = segment.file_offset + (main->address - segment.address);
    }
  }
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(FindFunctions(fd.get(), {offset}, {}).at(0), "main");
}

// Every byte of the compressed table, changed: the decoder must say so, or unpack the same.
TEST(MiniDebugTest, DamagedTablesAreNotUsed) {
  const std::vector<uint8_t> whole = FileBytes(Sample("linked_pie_mini"));
  const std::vector<uint8_t> table = Unpack(Sample("linked_pie_mini"));
  const std::vector<uint8_t> magic = {0xfd, '7', 'z', 'X', 'Z', 0};
  const auto at = std::search(whole.begin(), whole.end(), magic.begin(), magic.end());
  ASSERT_NE(at, whole.end());
  const auto begin = static_cast<size_t>(at - whole.begin());
  int used = 0;
  for (size_t i = 0; i < 400; ++i) {
    std::vector<uint8_t> damaged = whole;
    damaged[begin + i] ^= 0x40;
    MemoryByteSource source(damaged);
    ElfFile file(&source);
    const std::vector<uint8_t> unpacked = ReadMiniDebug(&file);
    if (unpacked.empty()) continue;
    ++used;
    EXPECT_EQ(unpacked, table);
  }
  EXPECT_EQ(used, 0);
}

// A gigabyte of zeros in 150 KB: unpacked only as far as a symbol table would be.
TEST(MiniDebugTest, WhatUnpacksToFarMoreThanATableIsGivenUpOn) {
  const std::string path = ::testing::TempDir() + "/mini_bomb";
  Output("head -c 1000000000 /dev/zero | xz -0 > " + path + ".xz && objcopy --add-section " +
         ".gnu_debugdata=" + path + ".xz " + Sample("linked_pie_stripped") + " " + path);
  const std::vector<uint8_t> bytes = FileBytes(path);
  ASSERT_GT(bytes.size(), 100'000u);
  MemoryByteSource source(bytes);
  ElfFile file(&source);
  timespec begin{};
  timespec end{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
  EXPECT_TRUE(ReadMiniDebug(&file).empty());
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
  EXPECT_LT(end.tv_sec - begin.tv_sec, 3);
}

}  // namespace
}  // namespace startscope
