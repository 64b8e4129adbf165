// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The elf stage on builds that differ in what the linker, the optimiser or strip left of them.

#include <gtest/gtest.h>

#include <cctype>
#include <map>
#include <set>
#include <sstream>

#include "daemon/elf/image_inspector.h"
#include "tests/unit/elf/elf_testing.h"

namespace startscope {
namespace {

uint64_t AddressOf(const std::string& path, const std::string& symbol) {
  const auto found = ReadelfSymbol(path, symbol);
  EXPECT_TRUE(found) << symbol << " of " << path;
  return found ? found->address : 0;
}

uint64_t SiteAddress(const ImageFacts& facts, MarkKind kind) {
  const MarkSite* site = Site(facts, kind);
  EXPECT_NE(site, nullptr) << facts.path << " mark " << static_cast<int>(kind);
  return site == nullptr ? 0 : site->address;
}

class RustTest : public ::testing::TestWithParam<const char*> {};

TEST_P(RustTest, FindsTheCratesMainBehindTheCMain) {
  const std::string full = Sample(GetParam());
  const auto named = ReadelfSymbol(full, "5hello4main", /*part=*/true);
  for (const std::string& path : {full, full + "_stripped"}) {
    const ImageFacts facts = Inspect(path);
    EXPECT_EQ(facts.language, Language::kRust) << facts.evidence;
    EXPECT_NE(Site(facts, MarkKind::kRustLangStart), nullptr) << path;
    // Some releases of the compiler leave no symbol for a main that they inlined.
    if (named) {
      EXPECT_EQ(facts.main_address, named->address) << path;
    }
  }
}

TEST_P(RustTest, MarksMainWhereAProbeIsCheap) {
  const ImageFacts facts = Inspect(Sample(std::string(GetParam()) + "_stripped"));
  const MarkSite* site = Site(facts, MarkKind::kMain);
  ASSERT_NE(site, nullptr);
  EXPECT_EQ(site->cost, StepCost::kEmulated);
}

INSTANTIATE_TEST_SUITE_P(Builds, RustTest,
                         ::testing::Values("rust_opt_0", "rust_opt_2", "rust_opt_z",
                                           "rust_static_pie"));

TEST(StaticRustTest, FindsTheSameMainStrippedOrNot) {
  const ImageFacts full = Inspect(Sample("rust_static"));
  const ImageFacts stripped = Inspect(Sample("rust_static_stripped"));
  EXPECT_EQ(full.linkage, Linkage::kStatic);
  EXPECT_EQ(full.main_address, stripped.main_address);
  EXPECT_NE(full.main_address, AddressOf(Sample("rust_static"), "main"));
}

TEST(RustLibraryTest, AProgramInCIsNotRustForBeingLinkedWithIt) {
  const ImageFacts facts = Inspect(Sample("c_with_rust"));
  EXPECT_EQ(facts.language, Language::kCOrCpp) << facts.evidence;
  EXPECT_EQ(facts.main_address, AddressOf(Sample("c_with_rust"), "main"));
}

class GoTest : public ::testing::TestWithParam<const char*> {};

TEST_P(GoTest, FindsItsFunctionsInAStrippedProgram) {
  const std::string full = Sample(GetParam());
  for (const std::string& path : {full, full + "_stripped"}) {
    const ImageFacts facts = Inspect(path);
    EXPECT_EQ(facts.language, Language::kGo) << facts.evidence;
    EXPECT_EQ(facts.linkage, Linkage::kDynamic);
    EXPECT_EQ(facts.main_address, AddressOf(full, "main.main")) << path;
    const std::map<MarkKind, const char*> marks = {{MarkKind::kMain, "main.main"},
                                                   {MarkKind::kGoRuntimeMain, "runtime.main"},
                                                   {MarkKind::kGoSchedinit, "runtime.schedinit"}};
    for (const auto& [kind, symbol] : marks) {
      const MarkSite* site = Site(facts, kind);
      ASSERT_NE(site, nullptr) << path << " " << symbol;
      EXPECT_EQ(site->address - site->skew_bytes, AddressOf(full, symbol)) << path;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Builds, GoTest,
                         ::testing::Values("go_pie", "go_external", "go_external_pie"));

TEST(MuslStaticPieTest, FindsMainBehindSelfRelocation) {
  const uint64_t main = AddressOf(Sample("musl_static_pie"), "main");
  for (const char* name : {"musl_static_pie", "musl_static_pie_stripped"}) {
    const ImageFacts facts = Inspect(Sample(name));
    EXPECT_EQ(facts.libc, Libc::kMusl) << facts.evidence;
    EXPECT_EQ(facts.linkage, Linkage::kStaticPie);
    EXPECT_EQ(facts.main_address, main) << name;
  }
}

TEST(MuslStaticPieTest, MarksTheEndOfSelfRelocation) {
  const uint64_t stub = AddressOf(Sample("musl_static_pie"), "__dls2");
  const ImageFacts facts = Inspect(Sample("musl_static_pie_stripped"));
  const MarkSite* site = Site(facts, MarkKind::kSelfRelocated);
  ASSERT_NE(site, nullptr);
  EXPECT_EQ(site->address - site->skew_bytes, stub);
}

TEST(StaticGlibcTest, MarksItsStartCodeStrippedOrNot) {
  for (const char* name : {"hello_glibc_static", "hello_glibc_static_pie"}) {
    const ImageFacts full = Inspect(Program(name));
    const ImageFacts stripped = Inspect(Program(std::string(name) + "_stripped"));
    EXPECT_EQ(SiteAddress(stripped, MarkKind::kLibcStart), SiteAddress(full, MarkKind::kLibcStart));
    const MarkSite* relocated = Site(stripped, MarkKind::kSelfRelocated);
    ASSERT_EQ(relocated != nullptr, full.linkage == Linkage::kStaticPie) << name;
    if (relocated == nullptr) continue;
    EXPECT_EQ(relocated->address, SiteAddress(full, MarkKind::kSelfRelocated));
  }
}

TEST(LoaderTest, FindsAnnouncementsMadeThroughAFunction) {
  const std::string path = Sample("ld-state-setter.so");
  const auto dl_main = ReadelfSymbol(path, "dl_main");
  ASSERT_TRUE(dl_main);
  for (const char* name : {"ld-state-setter.so", "ld-state-setter.so_stripped"}) {
    const ImageFacts facts = Inspect(Sample(name));
    EXPECT_EQ(facts.kind, ImageKind::kLoader);
    const uint64_t begin = SiteAddress(facts, MarkKind::kDependenciesBegin);
    const uint64_t end = SiteAddress(facts, MarkKind::kRelocated);
    EXPECT_GE(begin, dl_main->address) << name;
    EXPECT_LT(begin, end) << name;
    EXPECT_LT(end, dl_main->address + dl_main->size) << name;
  }
}

TEST(LoaderTest, PrefersStaticProbesAndAppliesTheirBase) {
  const std::string path = Sample("ld-sdt.so");
  const ImageFacts facts = Inspect(path);
  const MarkSite* begin = Site(facts, MarkKind::kDependenciesBegin);
  const MarkSite* end = Site(facts, MarkKind::kRelocated);
  ASSERT_TRUE(begin != nullptr && end != nullptr);
  EXPECT_EQ(begin->rung, SiteRung::kSdt);
  EXPECT_EQ(begin->cost, StepCost::kEmulated);
  EXPECT_EQ(begin->address, AddressOf(path, "at_init_start"));
  EXPECT_EQ(end->rung, SiteRung::kSdt);
  EXPECT_EQ(end->address, AddressOf(path, "at_init_complete"));
}

TEST(LoaderTest, IsRecognisedWhateverItsName) {
  const UniqueFd fd(open(kMuslLoader, O_RDONLY | O_CLOEXEC));
  InspectOptions options;
  options.path_label = "/usr/lib/musl/libc.so";
  const ImageFacts facts = InspectImage(fd.get(), options);
  EXPECT_EQ(facts.kind, ImageKind::kLoader);
  EXPECT_EQ(facts.libc, Libc::kMusl);
  EXPECT_NE(Site(facts, MarkKind::kRelocated), nullptr);
}

class DebugLinkTest : public ::testing::TestWithParam<const char*> {};

TEST_P(DebugLinkTest, FindsTheFileThatTheLinkNames) {
  const std::string path = Sample(GetParam());
  const std::string root = Sample("debug");
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  InspectOptions options;
  options.path_label = path;
  DebugCandidates debug(fd, path, {.debug_directory = root, .debuginfod_cache = ""});
  options.debug_candidates = debug.sources();
  const ImageFacts facts = InspectImage(fd.get(), options);
  EXPECT_FALSE(facts.has_symtab);
  EXPECT_TRUE(facts.debug_file_used);
  const MarkSite* main = Site(facts, MarkKind::kMain);
  ASSERT_NE(main, nullptr);
  EXPECT_EQ(main->rung, SiteRung::kDebugFile);
  EXPECT_EQ(facts.main_address, AddressOf(root + path + ".debug", "main"));
}

TEST_P(DebugLinkTest, DoesNotTakeAnothersFile) {
  const std::string path = Sample(GetParam());
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const std::string root = ::testing::TempDir() + "elf_debug_root";
  const std::string folder = path.substr(0, path.rfind('/'));
  ASSERT_EQ(system(("mkdir -p " + root + folder + " && cp " + Program("hello_glibc_nopie") + " " +
                    root + path + ".debug")
                       .c_str()),
            0);
  InspectOptions options;
  options.path_label = path;
  DebugCandidates debug(fd, path, {.debug_directory = root, .debuginfod_cache = ""});
  options.debug_candidates = debug.sources();
  EXPECT_FALSE(InspectImage(fd.get(), options).debug_file_used);
  unlink((root + path + ".debug").c_str());
}

INSTANTIATE_TEST_SUITE_P(Builds, DebugLinkTest,
                         ::testing::Values("debuglink_sha1", "debuglink_none"));

// objdump decodes each file from its functions' beginnings, with another decoder than ours.
class ObjdumpTest : public ::testing::TestWithParam<std::string> {};

TEST_P(ObjdumpTest, AgreesWhereInstructionsBeginAndWhatTheyAre) {
  const std::string path =
      GetParam()[0] == '/' ? GetParam()
                           : (access(Program(GetParam()).c_str(), R_OK) == 0 ? Program(GetParam())
                                                                             : Sample(GetParam()));
  const ImageFacts facts = Inspect(path);
  ASSERT_FALSE(facts.sites.empty());
  std::map<uint64_t, std::string> wanted;
  for (const MarkSite& site : facts.sites) wanted[site.address] = "";
  std::istringstream lines(Output("objdump -d --no-show-raw-insn " + path));
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string address, mnemonic;
    fields >> address >> mnemonic;
    if (address.empty() || address.back() != ':' || !std::isxdigit(address[0])) continue;
    const auto found = wanted.find(std::strtoull(address.c_str(), nullptr, 16));
    if (found != wanted.end()) found->second = mnemonic;
  }
  for (const MarkSite& site : facts.sites) {
    const std::string& mnemonic = wanted[site.address];
    EXPECT_NE(mnemonic, "") << "no instruction begins at " << std::hex << site.address;
    const bool emulated = mnemonic == "call" || mnemonic == "nop" || mnemonic == "push" ||
                          (!mnemonic.empty() && mnemonic[0] == 'j');
    EXPECT_EQ(site.cost == StepCost::kEmulated, emulated) << mnemonic;
  }
}

INSTANTIATE_TEST_SUITE_P(Files, ObjdumpTest,
                         ::testing::Values("/bin/ls", kGlibcLoader, kMuslLoader,
                                           "hello_glibc_static", "hello_glibc_static_pie",
                                           "hello_musl_static_stripped", "freestanding_c",
                                           "hello_go_stripped", "go_external_pie_stripped",
                                           "rust_opt_2_stripped", "rust_static"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name)
                             c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

}  // namespace
}  // namespace startscope
