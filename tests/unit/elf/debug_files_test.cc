// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Separate debug files: where they are looked for, and what is believed of what they say.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <list>
#include <memory>
#include <string>

#include "daemon/elf/debug_file.h"
#include "daemon/elf/function_check.h"
#include "tests/unit/elf/elf_testing.h"

namespace startscope {
namespace {

namespace fs = std::filesystem;

constexpr char kLinkName[] = "debuglink_sha1.debug";

std::string TrueDebugFile() { return Sample("debug") + Sample(kLinkName); }

// A root directory with a program in /opt/bin whose symbols are in another file.
class DebugFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "debug_files_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    Copy(Sample("debuglink_sha1"), "root/opt/bin/program");
    image_.Reset(open((directory_ / "root/opt/bin/program").c_str(), O_RDONLY | O_CLOEXEC));
    root_ = std::make_shared<const UniqueFd>(
        open((directory_ / "root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    FdByteSource source(image_.get(), SizeOf(image_));
    reference_ = WantedDebugFile(&source).value();
  }
  void TearDown() override { fs::remove_all(directory_); }

  void Copy(const std::string& from, const std::string& to) {
    fs::create_directories((directory_ / to).parent_path());
    fs::copy_file(from, directory_ / to);
  }
  [[nodiscard]] std::string ByBuildId() const {
    const std::string& id = reference_.build_id;
    return ".build-id/" + id.substr(0, 2) + "/" + id.substr(2) + ".debug";
  }
  [[nodiscard]] DebuggedImage Image() const {
    return ImageToDebug(image_, "/opt/bin/program", root_);
  }
  size_t CountFound(const DebugFinderOptions& options = {}) {
    return DebugFinder(options).Find(reference_, Image()).size();
  }
  // What is said of the program with these candidates.
  ImageFacts InspectWith(const std::vector<std::string>& debug_files) {
    std::list<std::vector<uint8_t>> contents;
    std::list<MemoryByteSource> sources;
    InspectOptions options;
    options.path_label = "program";
    for (const std::string& path : debug_files) {
      sources.emplace_back(contents.emplace_back(FileBytes(path)));
      options.debug_candidates.push_back(&sources.back());
    }
    return InspectImage(image_.get(), options);
  }

  fs::path directory_;
  UniqueFd image_;
  std::shared_ptr<const UniqueFd> root_;
  DebugReference reference_;
};

TEST_F(DebugFilesTest, IsFoundBesideTheImage) {
  EXPECT_EQ(CountFound(), 0u);
  Copy(TrueDebugFile(), std::string("root/opt/bin/") + kLinkName);
  EXPECT_EQ(CountFound(), 1u);
}

TEST_F(DebugFilesTest, IsFoundInDotDebug) {
  Copy(TrueDebugFile(), std::string("root/opt/bin/.debug/") + kLinkName);
  EXPECT_EQ(CountFound(), 1u);
}

TEST_F(DebugFilesTest, IsFoundBelowTheDebugDirectoryOfItsRoot) {
  Copy(TrueDebugFile(), std::string("root/usr/lib/debug/opt/bin/") + kLinkName);
  EXPECT_EQ(CountFound(), 1u);
}

TEST_F(DebugFilesTest, IsFoundByBuildIdInItsRoot) {
  Copy(TrueDebugFile(), "root/usr/lib/debug/" + ByBuildId());
  EXPECT_EQ(CountFound(), 1u);
}

TEST_F(DebugFilesTest, IsFoundInOurRootToo) {
  Copy(TrueDebugFile(), "ours/" + ByBuildId());
  EXPECT_EQ(CountFound({.debug_directory = directory_ / "ours", .debuginfod_cache = ""}), 1u);
}

TEST_F(DebugFilesTest, TheRootOfTheImageComesFirst) {
  const fs::path ours = directory_ / "ours";
  Copy(TrueDebugFile(), "ours/" + ByBuildId());
  Copy(TrueDebugFile(), "root" + ours.string() + "/" + ByBuildId());
  const auto found =
      DebugFinder({.debug_directory = ours, .debuginfod_cache = ""}).Find(reference_, Image());
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(PathOf(found[0].fd.get()), directory_ / "root" / ours.relative_path() / ByBuildId());
}

TEST_F(DebugFilesTest, IsFoundInADebuginfodCache) {
  Copy(TrueDebugFile(), "cache/" + reference_.build_id + "/debuginfo");
  EXPECT_EQ(CountFound(), 0u);
  EXPECT_EQ(
      CountFound({.debug_directory = "/usr/lib/debug", .debuginfod_cache = directory_ / "cache"}),
      1u);
}

TEST_F(DebugFilesTest, AnImageWithoutBuildIdIsFoundByItsLinkAndChecksum) {
  const std::string path = Sample("debuglink_none");
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  FdByteSource source(fd.get(), SizeOf(fd));
  const DebugReference reference = WantedDebugFile(&source).value();
  EXPECT_EQ(reference.build_id, "");
  const auto found = DebugFinder({.debug_directory = Sample("debug"), .debuginfod_cache = ""})
                         .Find(reference, ImageToDebug(fd, path));
  EXPECT_EQ(found.size(), 1u);
}

TEST_F(DebugFilesTest, ASymbolicLinkDoesNotLeadOutOfTheRoot) {
  Copy(TrueDebugFile(), "outside/" + ByBuildId());
  Copy(TrueDebugFile(), std::string("outside/opt/bin/") + kLinkName);
  fs::create_directories(directory_ / "root/usr/lib");
  fs::create_directory_symlink(directory_ / "outside", directory_ / "root/usr/lib/debug");
  EXPECT_EQ(CountFound(), 0u);
  fs::remove(directory_ / "root/usr/lib/debug");
  fs::create_directory_symlink("../../../outside", directory_ / "root/usr/lib/debug");
  EXPECT_EQ(CountFound(), 0u);
}

TEST_F(DebugFilesTest, ASymbolicLinkLeadsWhereItDoesInTheRoot) {
  Copy(TrueDebugFile(), "root/srv/debug/" + ByBuildId());
  fs::create_directories(directory_ / "root/usr/lib");
  fs::create_directory_symlink("/srv/debug", directory_ / "root/usr/lib/debug");
  EXPECT_EQ(CountFound(), 1u);
}

TEST_F(DebugFilesTest, OnlyRegularFilesAreOpened) {
  fs::create_directories(directory_ / "root/opt/bin/.debug");
  ASSERT_EQ(mkfifo((directory_ / "root/opt/bin" / kLinkName).c_str(), 0644), 0);
  fs::create_directories(directory_ / "root/opt/bin/.debug" / kLinkName);
  EXPECT_EQ(CountFound(), 0u);
}

TEST_F(DebugFilesTest, WhatTheKernelMakesUpIsNotOpened) {
  fs::create_directories(directory_ / "root/opt/bin");
  fs::create_symlink("/proc/version", directory_ / "root/opt/bin" / kLinkName);
  const DebuggedImage in_our_root =
      ImageToDebug(image_, (directory_ / "root/opt/bin/program").string());
  EXPECT_EQ(DebugFinder().Find(reference_, in_our_root).size(), 0u);
  fs::remove(directory_ / "root/opt/bin" / kLinkName);
  fs::create_symlink(TrueDebugFile(), directory_ / "root/opt/bin" / kLinkName);
  EXPECT_EQ(DebugFinder().Find(reference_, in_our_root).size(), 1u);
}

TEST_F(DebugFilesTest, WhatOthersCanWriteIsNotTaken) {
  Copy(TrueDebugFile(), std::string("root/opt/bin/") + kLinkName);
  fs::permissions(directory_ / "root/opt/bin" / kLinkName, fs::perms::others_write,
                  fs::perm_options::add);
  EXPECT_EQ(CountFound(), 0u);
}

TEST_F(DebugFilesTest, AFileThatIsThereTwiceIsTakenOnce) {
  Copy(TrueDebugFile(), std::string("root/opt/bin/") + kLinkName);
  fs::create_directories(directory_ / "root/opt/bin/.debug");
  fs::create_hard_link(directory_ / "root/opt/bin" / kLinkName,
                       directory_ / "root/opt/bin/.debug" / kLinkName);
  EXPECT_EQ(CountFound(), 1u);
}

TEST_F(DebugFilesTest, OfManyWithTheSameBuildIdEachIsRead) {
  // The image itself has the build-id too, and no symbols.
  const ImageFacts facts = InspectWith({Sample("debuglink_sha1"), TrueDebugFile()});
  ASSERT_NE(Site(facts, MarkKind::kMain), nullptr);
  EXPECT_EQ(Site(facts, MarkKind::kMain)->rung, SiteRung::kDebugFile);
}

// A copy of `path` in which the symbols of functions lie `shift` bytes further on.
std::string WithMovedFunctions(const std::string& path, const fs::path& copy, uint64_t shift) {
  std::vector<uint8_t> bytes = FileBytes(path);
  MemoryByteSource source(bytes);
  ElfFile file(&source);
  for (const ElfSection& section : file.sections()) {
    if (section.type != SHT_SYMTAB) continue;
    for (uint64_t at = section.offset; at < section.offset + section.size;
         at += sizeof(Elf64_Sym)) {
      Elf64_Sym symbol;
      std::memcpy(&symbol, bytes.data() + at, sizeof(symbol));
      if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_value == 0) continue;
      symbol.st_value += shift;
      std::memcpy(bytes.data() + at, &symbol, sizeof(symbol));
    }
  }
  std::ofstream(copy, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  return copy;
}

TEST_F(DebugFilesTest, AddressesThatLieGiveNoSite) {
  const ImageFacts with = InspectWith({TrueDebugFile()});
  ASSERT_EQ(Site(with, MarkKind::kMain)->rung, SiteRung::kDebugFile);
  for (const uint64_t shift : {1u, 2u, 3u, 4u, 5u, 6u, 7u}) {
    const ImageFacts facts =
        InspectWith({WithMovedFunctions(TrueDebugFile(), directory_ / "lies", shift)});
    EXPECT_TRUE(facts.debug_file_used);
    for (const MarkSite& site : facts.sites) EXPECT_NE(site.rung, SiteRung::kDebugFile);
    // The next rung has it.
    ASSERT_NE(Site(facts, MarkKind::kMain), nullptr);
    EXPECT_EQ(Site(facts, MarkKind::kMain)->rung, SiteRung::kCallSite);
    EXPECT_EQ(Site(facts, MarkKind::kMain)->address, Site(with, MarkKind::kMain)->address);
  }
}

TEST_F(DebugFilesTest, AFileThatLiesDoesNotHideTheOneThatDoesNot) {
  const std::string lies = WithMovedFunctions(TrueDebugFile(), directory_ / "lies", 1);
  const ImageFacts facts = InspectWith({lies, TrueDebugFile()});
  ASSERT_NE(Site(facts, MarkKind::kMain), nullptr);
  EXPECT_EQ(Site(facts, MarkKind::kMain)->rung, SiteRung::kDebugFile);
}

TEST_F(DebugFilesTest, AddressesOutsideOfCodeGiveNoSite) {
  for (const uint64_t shift : {uint64_t{1} << 20, uint64_t{1} << 40, UINT64_MAX - 4096}) {
    const ImageFacts facts =
        InspectWith({WithMovedFunctions(TrueDebugFile(), directory_ / "lies", shift)});
    for (const MarkSite& site : facts.sites) EXPECT_NE(site.rung, SiteRung::kDebugFile);
  }
}

// binutils says where instructions and functions begin; the loader of musl describes no frames.
class FunctionCheckTest : public ::testing::TestWithParam<std::string> {};

TEST_P(FunctionCheckTest, FunctionsMayBeginWhereTheyDoAndNowhereInsideAnInstruction) {
  const std::vector<uint8_t> bytes = FileBytes(GetParam());
  MemoryByteSource source(bytes);
  ElfFile file(&source);
  std::istringstream lines(Output("objdump -d --no-show-raw-insn " + GetParam()));
  std::string line;
  uint64_t previous = 0;
  size_t inside = 0;
  while (std::getline(lines, line) && inside < 20000) {
    char colon = 0;
    unsigned long long address = 0;
    if (std::sscanf(line.c_str(), " %llx%c", &address, &colon) != 2 || colon != ':') {
      previous = 0;
      continue;
    }
    for (uint64_t at = previous + 1; previous != 0 && at < address && at < previous + 15; ++at) {
      if (MayBeginFunction(&file, at)) ADD_FAILURE() << GetParam() << " " << std::hex << at;
      ++inside;
    }
    previous = address;
  }
  EXPECT_GT(inside, 1000u);
  size_t functions = 0;
  file.VisitSymbols(SHT_DYNSYM, [&](const ElfSymbol& symbol) {
    if (!symbol.defined || symbol.type != STT_FUNC || symbol.size == 0) return;
    EXPECT_TRUE(MayBeginFunction(&file, symbol.address)) << GetParam() << " " << symbol.name;
    ++functions;
  });
  EXPECT_GT(functions, 10u);
}

INSTANTIATE_TEST_SUITE_P(Files, FunctionCheckTest,
                         ::testing::Values(kGlibcLoader, kMuslLoader, "/bin/bash"));

}  // namespace
}  // namespace startscope
