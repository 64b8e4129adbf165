// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Facts from a reader that may have been taken over: what the honest reader says of real files passes,
// and each single lie is found.

#include "daemon/inspect/check_facts.h"

#include <elf.h>
#include <fcntl.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "tests/unit/elf/elf_testing.h"

namespace startscope {
namespace {

constexpr uint64_t kSize = 0x5000;

ImageFacts Honest() {
  ImageFacts facts;
  facts.path = "/bin/program";
  facts.size_bytes = kSize;
  facts.machine = EM_X86_64;
  facts.is_64_bit = true;
  facts.build_id = "00ff";
  facts.segments = {{0x0, 0x1000, 0x0, 0x1000, true, false, false},
                    {0x2000, 0x1800, 0x1000, 0x1000, true, false, true}};
  MarkSite site;
  site.kind = MarkKind::kMain;
  site.address = 0x2010;
  site.file_offset = 0x1010;
  site.symbol = "main";
  facts.sites = {site};
  InitFunction function;
  function.site = site;
  function.site.kind = MarkKind::kInitFunction;
  facts.init_functions = {function};
  return facts;
}

absl::Status Check(const ImageFacts& facts) { return CheckFacts(facts, {"/bin/program", kSize}); }

struct Lie {
  const char* name;
  std::function<void(ImageFacts*)> tell;
};

void PrintTo(const Lie& lie, std::ostream* out) { *out << lie.name; }

class LieTest : public ::testing::TestWithParam<Lie> {};

TEST_P(LieTest, IsFound) {
  ImageFacts facts = Honest();
  ASSERT_TRUE(Check(facts).ok()) << Check(facts);
  GetParam().tell(&facts);
  EXPECT_EQ(Check(facts).code(), absl::StatusCode::kDataLoss);
}

INSTANTIATE_TEST_SUITE_P(
    Facts, LieTest,
    ::testing::Values(
        Lie{"AnotherPath", [](ImageFacts* f) { f->path = "/bin/other"; }},
        Lie{"AnotherSize", [](ImageFacts* f) { f->size_bytes = kSize + 1; }},
        Lie{"AFileIdentity", [](ImageFacts* f) { f->file.inode = 1; }},
        Lie{"SiteOutsideOfSegments", [](ImageFacts* f) { f->sites[0].address = 0x9000; }},
        Lie{"SiteInData", [](ImageFacts* f) {
              f->sites[0].address = 0x10;
              f->sites[0].file_offset = 0x10;
            }},
        Lie{"OffsetOfAnotherAddress", [](ImageFacts* f) { f->sites[0].file_offset = 0x1011; }},
        Lie{"SiteBehindTheFile", [](ImageFacts* f) {
              f->segments[1].file_offset = kSize;
              f->sites[0].file_offset = kSize + 0x10;
            }},
        Lie{"SiteInMemoryThatNoFileBacks", [](ImageFacts* f) {
              f->sites[0].address = 0x3010;
              f->sites[0].file_offset = 0x2010;
            }},
        Lie{"OffsetThatWrapsAround", [](ImageFacts* f) {
              f->segments[1].file_offset = UINT64_MAX - 7;
              f->segments[1].file_bytes = UINT64_MAX;
              f->sites[0].file_offset = 8;
            }},
        Lie{"TheSameMarkTwice", [](ImageFacts* f) { f->sites.push_back(f->sites[0]); }},
        Lie{"NoMark", [](ImageFacts* f) { f->sites[0].kind = MarkKind::kNone; }},
        Lie{"SiteOnAnotherMachine", [](ImageFacts* f) { f->machine = EM_AARCH64; }},
        Lie{"SiteOf32Bits", [](ImageFacts* f) { f->is_64_bit = false; }},
        Lie{"SiteFarFromItsEvent", [](ImageFacts* f) { f->sites[0].skew_bytes = 1u << 20; }},
        Lie{"NulInASymbol", [](ImageFacts* f) { f->sites[0].symbol = std::string("a\0b", 3); }},
        Lie{"InitFunctionOutsideOfCode",
            [](ImageFacts* f) { f->init_functions[0].site.file_offset = 0; }},
        Lie{"InitFunctionAsAnotherMark",
            [](ImageFacts* f) { f->init_functions[0].site.kind = MarkKind::kMain; }},
        Lie{"TooManyInitFunctions",
            [](ImageFacts* f) { f->init_functions.resize(kMaxInitFunctions + 1); }},
        Lie{"TooManySegments", [](ImageFacts* f) { f->segments.resize(129); }},
        Lie{"TooManyLibraries", [](ImageFacts* f) { f->needed.resize(1025); }},
        Lie{"InterpreterWithNul",
            [](ImageFacts* f) { f->interpreter = std::string("/ld\0/x", 6); }},
        Lie{"InterpreterTooLong", [](ImageFacts* f) { f->interpreter.assign(5000, 'x'); }},
        Lie{"BuildIdThatIsAPath", [](ImageFacts* f) { f->build_id = "../../etc"; }},
        Lie{"BuildIdInCapitals", [](ImageFacts* f) { f->build_id = "00FF"; }},
        Lie{"HalfADigitPair", [](ImageFacts* f) { f->build_id = "00f"; }},
        Lie{"TooManySections",
            [](ImageFacts* f) { f->link.sections.resize(kMaxListedSections + 1); }},
        Lie{"EndlessError", [](ImageFacts* f) { f->error.assign(1u << 20, 'x'); }}),
    [](const auto& one) { return one.param.name; });

TEST(CheckFactsTest, AnInitFunctionWithoutASitePasses) {
  ImageFacts facts = Honest();
  facts.init_functions[0].site = MarkSite{};
  EXPECT_TRUE(Check(facts).ok()) << Check(facts);
}

class HonestReaderTest : public ::testing::TestWithParam<const char*> {};

TEST_P(HonestReaderTest, SaysNothingThatIsRefused) {
  const std::string path = GetParam()[0] == '/' ? GetParam() : Program(GetParam());
  const ImageFacts facts = Inspect(path);
  EXPECT_TRUE(facts.error.empty()) << facts.error;
  const absl::Status status = CheckFacts(facts, {path, FileBytes(path).size()});
  EXPECT_TRUE(status.ok()) << status;
}

INSTANTIATE_TEST_SUITE_P(Files, HonestReaderTest,
                         ::testing::Values("/bin/ls", kGlibcLoader, kMuslLoader,
                                           "/lib/x86_64-linux-gnu/libc.so.6", "/bin/bash",
                                           "hello_glibc_static", "hello_go", "hello_rust",
                                           "freestanding_c"));

TEST(CheckFunctionsTest, CountsAndBoundsNames) {
  EXPECT_TRUE(CheckFunctions({"main", ""}, 2).ok());
  EXPECT_FALSE(CheckFunctions({"main"}, 2).ok());
  EXPECT_FALSE(CheckFunctions({std::string("a\0", 2)}, 1).ok());
  EXPECT_FALSE(CheckFunctions({std::string(1u << 20, 'x')}, 1).ok());
}

TEST(CheckDebugReferenceTest, NothingLeadsElsewhere) {
  EXPECT_TRUE(CheckDebugReference({"00ff", "ls.debug", 1}).ok());
  EXPECT_FALSE(CheckDebugReference({"../x", "", 0}).ok());
  for (const char* name : {"..", ".", "a/b", "/etc/shadow"}) {
    EXPECT_FALSE(CheckDebugReference({"", name, 0}).ok()) << name;
  }
}

}  // namespace
}  // namespace startscope
