// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The elf stage on the programs of tests/programs and on this machine's loaders; binutils are the
// independent witness.

#include "daemon/elf/image_inspector.h"

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <map>

#include "daemon/elf/code.h"
#include "daemon/elf/elf_file.h"
#include "tests/unit/elf/elf_testing.h"

namespace startscope {
namespace {

TEST(ImageInspectorTest, FindsTheLoadersAnnouncementsInDlMain) {
  const ImageFacts facts = Inspect(kGlibcLoader);
  EXPECT_EQ(facts.kind, ImageKind::kLoader);
  EXPECT_EQ(facts.libc, Libc::kGlibc);
  EXPECT_FALSE(facts.libc_version.empty());
  const std::string debug = "/usr/lib/debug/.build-id/" + facts.build_id.substr(0, 2) + "/" +
                            facts.build_id.substr(2) + ".debug";
  const auto dl_main = ReadelfSymbol(debug, "dl_main");
  ASSERT_TRUE(dl_main) << debug << " (package libc6-dbg)";
  for (const MarkKind kind :
       {MarkKind::kDependenciesBegin, MarkKind::kRelocated, MarkKind::kDependenciesMapped}) {
    const MarkSite* site = Site(facts, kind);
    ASSERT_NE(site, nullptr) << static_cast<int>(kind);
    EXPECT_GE(site->address, dl_main->address);
    EXPECT_LT(site->address, dl_main->address + dl_main->size);
    EXPECT_EQ(site->cost, StepCost::kEmulated);
  }
  EXPECT_LT(Site(facts, MarkKind::kDependenciesBegin)->address,
            Site(facts, MarkKind::kRelocated)->address);
}

TEST(ImageInspectorTest, FindsTheSamePlacesWithoutDebugFiles) {
  const ImageFacts with = Inspect(kGlibcLoader);
  const ImageFacts without = Inspect(kGlibcLoader, /*debug_files=*/false);
  EXPECT_TRUE(with.debug_file_used);
  EXPECT_FALSE(without.debug_file_used);
  for (const MarkKind kind :
       {MarkKind::kLoaderEntry, MarkKind::kDependenciesBegin, MarkKind::kRelocated,
        MarkKind::kRelocateObject, MarkKind::kTlsBegin, MarkKind::kTlsEnd}) {
    ASSERT_NE(Site(without, kind), nullptr);
    EXPECT_EQ(Site(with, kind)->address, Site(without, kind)->address);
  }
}

TEST(ImageInspectorTest, MarksTheRelocationOfEachObjectWhileItsArgumentsAreThere) {
  const ImageFacts facts = Inspect(kGlibcLoader);
  const std::string debug = "/usr/lib/debug/.build-id/" + facts.build_id.substr(0, 2) + "/" +
                            facts.build_id.substr(2) + ".debug";
  auto relocate = ReadelfSymbol(debug, "_dl_relocate_object_no_relro");  // since glibc 2.41
  if (!relocate) relocate = ReadelfSymbol(debug, "_dl_relocate_object");
  ASSERT_TRUE(relocate) << debug << " (package libc6-dbg)";
  const MarkSite* site = Site(facts, MarkKind::kRelocateObject);
  ASSERT_NE(site, nullptr);
  EXPECT_EQ(site->rung, SiteRung::kDebugFile);
  EXPECT_EQ(site->address - site->skew_bytes, relocate->address);
  const std::vector<uint8_t> image = FileBytes(kGlibcLoader);
  uint32_t written = 0;
  VisitInstructions(std::span(image).subspan(site->file_offset - site->skew_bytes, 64),
                    relocate->address, /*resync=*/false, [&](const Instruction& step) {
                      if (step.address >= site->address) return false;
                      written |= step.written_registers;
                      return true;
                    });
  EXPECT_EQ(written & (1u << 7 | 1u << 6 | 1u << 2 | 1u << 1), 0u);
}

TEST(ImageInspectorTest, MarksThatThreadLocalVariablesAreGivenTheirValues) {
  const ImageFacts facts = Inspect(kGlibcLoader, /*debug_files=*/false);
  const auto callee = ReadelfSymbol(kGlibcLoader, "_dl_allocate_tls_init");
  ASSERT_TRUE(callee);
  const MarkSite* begin = Site(facts, MarkKind::kTlsBegin);
  const MarkSite* end = Site(facts, MarkKind::kTlsEnd);
  ASSERT_NE(begin, nullptr);
  ASSERT_NE(end, nullptr);
  const std::vector<uint8_t> image = FileBytes(kGlibcLoader);
  VisitInstructions(std::span(image).subspan(begin->file_offset, 16), begin->address,
                    /*resync=*/false, [&](const Instruction& step) {
                      EXPECT_TRUE(step.is_call);
                      EXPECT_EQ(step.target, callee->address);
                      EXPECT_EQ(end->address - end->skew_bytes, step.address + step.length);
                      return false;
                    });
  EXPECT_LT(Site(facts, MarkKind::kDependenciesBegin)->address, begin->address);
}

TEST(ImageInspectorTest, ProbesTheCallItselfNotItsNeighbours) {
  const ImageFacts facts = Inspect(kGlibcLoader, false);
  const auto debug_state = ReadelfSymbol(kGlibcLoader, "_dl_debug_state");
  ASSERT_TRUE(debug_state);
  const UniqueFd fd(open(kGlibcLoader, O_RDONLY));
  for (const MarkKind kind : {MarkKind::kDependenciesBegin, MarkKind::kRelocated}) {
    std::array<uint8_t, 5> code;
    ASSERT_EQ(pread(fd.get(), code.data(), code.size(),
                    static_cast<off_t>(Site(facts, kind)->file_offset)),
              5);
    EXPECT_EQ(code[0], 0xe8);
    int32_t relative = 0;
    memcpy(&relative, code.data() + 1, sizeof(relative));
    EXPECT_EQ(Site(facts, kind)->address + 5 + static_cast<int64_t>(relative),
              debug_state->address);
  }
}

TEST(ImageInspectorTest, FindsMuslsStages) {
  const ImageFacts facts = Inspect(kMuslLoader);
  EXPECT_EQ(facts.libc, Libc::kMusl);
  const auto stage3 = ReadelfSymbol(kMuslLoader, "__dls3");
  const auto start = ReadelfSymbol(kMuslLoader, "__libc_start_main");
  ASSERT_TRUE(stage3 && start);
  ASSERT_NE(Site(facts, MarkKind::kRelocated), nullptr);
  EXPECT_EQ(Site(facts, MarkKind::kDependenciesBegin)->address, stage3->address);
  EXPECT_EQ(Site(facts, MarkKind::kLibcStart)->address, start->address);
  EXPECT_GT(Site(facts, MarkKind::kRelocated)->address, stage3->address);
  EXPECT_LT(Site(facts, MarkKind::kRelocated)->address, stage3->address + stage3->size);
}

struct Expected {
  Libc libc;
  Linkage linkage;
  Language language;
};

const std::map<std::string, Expected>& Targets() {
  static const auto* const targets = new std::map<std::string, Expected>{
      {"hello_glibc_dynamic", {Libc::kGlibc, Linkage::kDynamic, Language::kCOrCpp}},
      {"hello_glibc_nopie", {Libc::kGlibc, Linkage::kDynamic, Language::kCOrCpp}},
      {"hello_glibc_static", {Libc::kGlibc, Linkage::kStatic, Language::kCOrCpp}},
      {"hello_glibc_static_pie", {Libc::kGlibc, Linkage::kStaticPie, Language::kCOrCpp}},
      {"hello_musl_dynamic", {Libc::kMusl, Linkage::kDynamic, Language::kCOrCpp}},
      {"hello_musl_static", {Libc::kMusl, Linkage::kStatic, Language::kCOrCpp}},
      {"freestanding_c", {Libc::kNone, Linkage::kStatic, Language::kUnknown}},
      {"freestanding_rust", {Libc::kNone, Linkage::kStatic, Language::kRust}},
      {"hello_rust", {Libc::kGlibc, Linkage::kDynamic, Language::kRust}},
      {"hello_go", {Libc::kNone, Linkage::kStatic, Language::kGo}},
  };
  return *targets;
}

TEST(ImageInspectorTest, RecognisesEveryRuntimeStrippedOrNot) {
  for (const auto& [name, expected] : Targets()) {
    for (const char* variant : {"", "_stripped"}) {
      const ImageFacts facts = Inspect(Program(name + variant));
      EXPECT_EQ(facts.kind, ImageKind::kExecutable) << name << variant;
      EXPECT_EQ(facts.libc, expected.libc) << name << variant << ": " << facts.evidence;
      EXPECT_EQ(facts.linkage, expected.linkage) << name << variant;
      // Older compilers do not write their name into what they compile; without std there is
      // nothing else to go by.
      const bool anonymous =
          name == "freestanding_rust" &&
          Output("readelf -p .comment " + Program(name)).find("rustc version") == std::string::npos;
      EXPECT_EQ(facts.language, anonymous ? Language::kUnknown : expected.language)
          << name << variant << ": " << facts.evidence;
      EXPECT_EQ(facts.error, "");
    }
  }
}

TEST(ImageInspectorTest, FindsTheSameMainInAStrippedProgram) {
  for (const auto& [name, expected] : Targets()) {
    const ImageFacts full = Inspect(Program(name));
    const ImageFacts stripped = Inspect(Program(name + "_stripped"));
    if (EntryIsMain(full)) {
      EXPECT_TRUE(EntryIsMain(stripped)) << name;
      ASSERT_NE(Site(stripped, MarkKind::kEntry), nullptr) << name;
      continue;
    }
    ASSERT_NE(full.main_address, 0u) << name;
    EXPECT_EQ(stripped.main_address, full.main_address) << name;
    ASSERT_NE(Site(stripped, MarkKind::kMain), nullptr) << name;
    EXPECT_EQ(Site(stripped, MarkKind::kMain)->address, Site(full, MarkKind::kMain)->address);
  }
}

TEST(ImageInspectorTest, MainIsWhereReadelfSaysItIs) {
  for (const char* name : {"hello_glibc_dynamic", "hello_glibc_static", "hello_musl_dynamic"}) {
    const auto main = ReadelfSymbol(Program(name), "main");
    ASSERT_TRUE(main) << name;
    EXPECT_EQ(Inspect(Program(name)).main_address, main->address) << name;
  }
  const auto go_main = ReadelfSymbol(Program("hello_go"), "main.main");
  ASSERT_TRUE(go_main);
  EXPECT_EQ(Inspect(Program("hello_go_stripped")).main_address, go_main->address);
}

TEST(ImageInspectorTest, MarksOfAStrippedGoProgramSayThatTheyAreFromGosOwnTable) {
  const ImageFacts stripped = Inspect(Program("hello_go_stripped"));
  const ImageFacts full = Inspect(Program("hello_go"));
  for (const MarkKind kind : {MarkKind::kGoSchedinit, MarkKind::kGoRuntimeMain, MarkKind::kMain}) {
    ASSERT_NE(Site(stripped, kind), nullptr);
    EXPECT_EQ(Site(stripped, kind)->rung, SiteRung::kGoTable);
    EXPECT_EQ(Site(full, kind)->rung, SiteRung::kSymtab);
  }
}

TEST(ImageInspectorTest, EverySiteIsOnAnInstructionOfExecutableCode) {
  for (const auto& [name, expected] : Targets()) {
    const std::string path = Program(name);
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status {};
    ASSERT_EQ(fstat(fd.get(), &status), 0);
    FdByteSource source(fd.get(), static_cast<uint64_t>(status.st_size));
    ElfFile file(&source);
    for (const MarkSite& site : Inspect(path).sites) {
      EXPECT_EQ(file.CodeOffset(site.address), site.file_offset) << name;
      // Decoding from the event's own address must come by the probed one.
      const uint64_t begin = site.address - site.skew_bytes;
      bool met = false;
      VisitInstructions(file.ReadAtAddress(begin, 96), begin, false, [&](const Instruction& step) {
        met |= step.address == site.address;
        return step.address < site.address;
      });
      EXPECT_TRUE(met) << name << " mark " << static_cast<int>(site.kind);
    }
  }
}

TEST(ImageInspectorTest, ReadsAScriptsInterpreter) {
  const ImageFacts facts = Inspect(Program("script_env.sh"));
  EXPECT_EQ(facts.kind, ImageKind::kScript);
  EXPECT_EQ(facts.interpreter, "/usr/bin/env");
}

TEST(ImageInspectorTest, ReportsWhatADynamicProgramNeeds) {
  const ImageFacts facts = Inspect(Program("hello_glibc_dynamic"));
  EXPECT_EQ(facts.interpreter, kGlibcLoader);
  EXPECT_EQ(facts.needed, std::vector<std::string>{"libc.so.6"});
  EXPECT_EQ(facts.build_id.size(), 40u);
}

// Hostile files.

TEST(HostileFileTest, DoesNotReadFromAnythingButRegularFiles) {
  const std::string fifo = ::testing::TempDir() + "/elf_fifo";
  unlink(fifo.c_str());
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_NE(Inspect(fifo).error.find("not a regular file"), std::string::npos);
  unlink(fifo.c_str());
  EXPECT_NE(Inspect("/").error.find("not a regular file"), std::string::npos);
}

TEST(HostileFileTest, SurvivesEveryTruncation) {
  const std::vector<uint8_t> whole = FileBytes(Program("freestanding_c"));
  for (size_t size = 0; size < whole.size(); ++size) {
    MemoryByteSource source({whole.data(), size});
    const ImageFacts facts = InspectImage(&source, {});
    for (const MarkSite& site : facts.sites) EXPECT_LT(site.file_offset, size);
  }
}

TEST(HostileFileTest, SurvivesMutations) {
  const std::vector<uint8_t> whole = FileBytes(Program("hello_musl_dynamic"));
  uint32_t state = 12345;
  const auto next = [&] { return state = state * 1664525u + 1013904223u; };
  for (int round = 0; round < 5000; ++round) {
    std::vector<uint8_t> mutant = whole;
    for (int i = 0; i < 8; ++i) {
      // Headers and tables are what a reader trusts most.
      const size_t range = next() % 2 ? 1024 : mutant.size();
      mutant[next() % range] = static_cast<uint8_t>(next() >> 16);
    }
    MemoryByteSource source(mutant);
    const ImageFacts facts = InspectImage(&source, {});
    for (const MarkSite& site : facts.sites) EXPECT_LT(site.file_offset, mutant.size());
  }
}

TEST(HostileFileTest, ASparseGiantSymbolTableCostsNothing) {
  std::vector<uint8_t> image = FileBytes(Program("hello_glibc_static"));
  Elf64_Ehdr header;
  memcpy(&header, image.data(), sizeof(header));
  for (int i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section;
    uint8_t* const at = image.data() + header.e_shoff + i * sizeof(section);
    memcpy(&section, at, sizeof(section));
    if (section.sh_type == SHT_SYMTAB) section.sh_size = 1u << 30;
    memcpy(at, &section, sizeof(section));
  }
  const std::string path = ::testing::TempDir() + "/elf_sparse";
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(image.data()),
             static_cast<std::streamsize>(image.size()));
  ASSERT_EQ(truncate(path.c_str(), 4ll << 30), 0);
  const ImageFacts facts = Inspect(path);
  EXPECT_FALSE(facts.has_symtab);
  EXPECT_NE(facts.main_address, 0u);  // from the start code
  unlink(path.c_str());
}

TEST(HostileFileTest, SaysWhatIsWrong) {
  const std::string path = ::testing::TempDir() + "/elf_text";
  std::ofstream(path) << "hello, I am text";
  EXPECT_NE(Inspect(path).error.find("not an ELF file"), std::string::npos);
  EXPECT_NE(Inspect(path).error.find(path), std::string::npos);
}

}  // namespace
}  // namespace startscope
