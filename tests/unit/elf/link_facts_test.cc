// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// How files were linked, against what readelf says of the same files.

#include <elf.h>
#include <gtest/gtest.h>

#include <cctype>
#include <cstring>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "tests/unit/elf/elf_testing.h"

namespace startscope {
namespace {

// Relocations by type as readelf prints them: those of the dynamic section; in a file without one,
// those of its sections.
RelocationCounts ByReadelf(const std::string& path) {
  const bool dynamic = Output("readelf -lW " + path).find("DYNAMIC") != std::string::npos;
  std::istringstream lines(
      Output("readelf -rW " + std::string(dynamic ? "-D " : "") + path + " 2>/dev/null"));
  static const std::map<std::string, uint64_t RelocationCounts::*> kKinds = {
      {"R_X86_64_RELATIVE", &RelocationCounts::relative},
      {"R_X86_64_64", &RelocationCounts::symbol},
      {"R_X86_64_GLOB_DAT", &RelocationCounts::symbol},
      {"R_X86_64_JUMP_SLOT", &RelocationCounts::jump_slot},
      {"R_X86_64_IRELATIVE", &RelocationCounts::ifunc},
      {"R_X86_64_COPY", &RelocationCounts::copy},
      {"R_X86_64_DTPMOD64", &RelocationCounts::tls},
      {"R_X86_64_DTPOFF64", &RelocationCounts::tls},
      {"R_X86_64_TPOFF64", &RelocationCounts::tls},
      {"R_X86_64_TLSDESC", &RelocationCounts::tls},
  };
  RelocationCounts counts;
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string offset, info, type;
    fields >> offset >> info >> type;
    const auto kind = kKinds.find(type);
    if (kind != kKinds.end()) {
      ++(counts.*kind->second);
    } else if (type.rfind("R_X86_64_", 0) == 0) {
      ++counts.other;
    } else if (offset.size() == 16 && info.empty()) {
      ++counts.relr;  // an address of DT_RELR, on a line of its own
    }
  }
  return counts;
}

struct DynamicByReadelf {
  std::map<std::string, std::string> entries;  // tag -> the rest of its line
  [[nodiscard]] bool Has(const std::string& tag, const std::string& text = "") const {
    const auto found = entries.find(tag);
    return found != entries.end() && found->second.find(text) != std::string::npos;
  }
};

DynamicByReadelf ReadDynamicByReadelf(const std::string& path) {
  DynamicByReadelf dynamic;
  std::istringstream lines(Output("readelf -dW " + path));
  std::string line;
  while (std::getline(lines, line)) {
    const size_t open = line.find('(');
    const size_t close = line.find(')');
    if (line.find(" 0x") != 0 || open == std::string::npos || close == std::string::npos) continue;
    dynamic.entries[line.substr(open + 1, close - open - 1)] = line.substr(close + 1);
  }
  return dynamic;
}

std::string LibraryPath(const DynamicByReadelf& dynamic, const std::string& tag) {
  const auto found = dynamic.entries.find(tag);
  if (found == dynamic.entries.end()) return {};
  const size_t open = found->second.find('[');
  return found->second.substr(open + 1, found->second.rfind(']') - open - 1);
}

class LinkFactsTest : public ::testing::TestWithParam<std::string> {};

TEST_P(LinkFactsTest, CountsRelocationsByKind) {
  const LinkFacts link = Inspect(GetParam()).link;
  const RelocationCounts expected = ByReadelf(GetParam());
  ASSERT_TRUE(link.known);
  EXPECT_EQ(link.relocations.relative, expected.relative);
  EXPECT_EQ(link.relocations.relr, expected.relr);
  EXPECT_EQ(link.relocations.symbol, expected.symbol);
  EXPECT_EQ(link.relocations.jump_slot, expected.jump_slot);
  EXPECT_EQ(link.relocations.ifunc, expected.ifunc);
  EXPECT_EQ(link.relocations.copy, expected.copy);
  EXPECT_EQ(link.relocations.tls, expected.tls);
  EXPECT_EQ(link.relocations.other, expected.other);
}

TEST_P(LinkFactsTest, TellsWhatTheDynamicSectionTells) {
  const LinkFacts link = Inspect(GetParam()).link;
  const DynamicByReadelf dynamic = ReadDynamicByReadelf(GetParam());
  const bool now =
      dynamic.Has("BIND_NOW") || dynamic.Has("FLAGS", "BIND_NOW") || dynamic.Has("FLAGS_1", "NOW");
  EXPECT_EQ(link.bind_now, now);
  EXPECT_EQ(link.relr, dynamic.Has("RELR"));
  EXPECT_EQ(link.text_relocations, dynamic.Has("TEXTREL") || dynamic.Has("FLAGS", "TEXTREL"));
  EXPECT_EQ(link.sysv_hash, dynamic.Has("HASH"));
  EXPECT_EQ(link.gnu_hash, dynamic.Has("GNU_HASH"));
  EXPECT_EQ(link.rpath, LibraryPath(dynamic, "RPATH"));
  EXPECT_EQ(link.runpath, LibraryPath(dynamic, "RUNPATH"));
  EXPECT_EQ(link.position_independent_executable, dynamic.Has("FLAGS_1", "PIE"));
  if (dynamic.entries.empty()) return;
  const bool relro = Output("readelf -lW " + GetParam()).find("GNU_RELRO") != std::string::npos;
  EXPECT_EQ(link.relro, !relro ? RelroKind::kNone : now ? RelroKind::kFull : RelroKind::kPartial);
}

TEST_P(LinkFactsTest, TellsWhatTheProgramHeadersTell) {
  const LinkFacts link = Inspect(GetParam()).link;
  std::istringstream lines(Output("readelf -lW " + GetParam()));
  uint64_t tls_bytes = 0;
  bool executable_stack = false;
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string type, offset, address, physical, file_size, memory_size;
    fields >> type >> offset >> address >> physical >> file_size >> memory_size;
    if (type == "TLS") tls_bytes = std::stoull(memory_size, nullptr, 16);
    if (type == "GNU_STACK") executable_stack = line.find("RWE") != std::string::npos;
  }
  EXPECT_EQ(link.tls_bytes, tls_bytes);
  EXPECT_EQ(link.executable_stack, executable_stack);
}

TEST_P(LinkFactsTest, CountsSymbols) {
  const LinkFacts link = Inspect(GetParam()).link;
  std::istringstream lines(Output("readelf -sW " + GetParam() + " 2>/dev/null"));
  bool dynamic = false;
  std::set<std::string> seen;
  uint64_t imported = 0;
  uint64_t exported = 0;
  uint64_t table = 0;
  std::string line;
  while (std::getline(lines, line)) {
    if (line.find("Symbol table") == 0) dynamic = line.find(".dynsym") != std::string::npos;
    std::istringstream fields(line);
    std::string index, value, size, type, bind, visibility, section;
    fields >> index >> value >> size >> type >> bind >> visibility >> section;
    if (index.empty() || index.back() != ':' || index == "Num:" || index == "0:") continue;
    if (!dynamic) {
      ++table;
    } else if (section == "UND") {
      ++imported;
    } else if (bind != "LOCAL") {
      ++exported;
    }
  }
  EXPECT_EQ(link.imported_symbols, imported);
  EXPECT_EQ(link.exported_symbols, exported);
  EXPECT_EQ(link.table_symbols, table);
}

TEST_P(LinkFactsTest, IsTheSameForAFileAskedForAsALibrary) {
  const LinkFacts whole = Inspect(GetParam()).link;
  const LinkFacts library = InspectLibrary(GetParam()).link;
  EXPECT_EQ(whole.relocations, library.relocations);
  EXPECT_EQ(whole.exported_symbols, library.exported_symbols);
  EXPECT_EQ(whole.relro, library.relro);
  EXPECT_EQ(whole.destructors, library.destructors);
}

std::string NameOf(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param.substr(info.param.rfind('/') + 1);
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Files, LinkFactsTest, ::testing::ValuesIn(ManyFiles()), NameOf);

TEST(LinkedSamplesTest, EachIsWhatItWasLinkedToBe) {
  EXPECT_GT(Inspect(Sample("linked_relr")).link.relocations.relr, 5u);
  EXPECT_GT(Inspect(Sample("linked_copy")).link.relocations.copy, 1u);
  EXPECT_GT(Inspect(Sample("linked_static")).link.relocations.ifunc, 1u);
  EXPECT_GT(Inspect(Sample("linked_tlsdesc.so")).link.relocations.tls, 0u);
  EXPECT_EQ(Inspect(Sample("linked_now")).link.relro, RelroKind::kFull);
  EXPECT_EQ(Inspect(Sample("linked_norelro")).link.relro, RelroKind::kNone);
  EXPECT_TRUE(Inspect(Sample("linked_textrel.so")).link.text_relocations);
  EXPECT_TRUE(Inspect(Sample("linked_execstack")).link.executable_stack);
  EXPECT_TRUE(Inspect(Sample("linked_prelinked")).link.prelinked);
  EXPECT_FALSE(Inspect(Sample("linked_pie")).link.prelinked);
  EXPECT_TRUE(Inspect(Sample("ld-sdt.so")).link.has_sdt_notes);
  EXPECT_EQ(Inspect(Sample("linked_rpath")).link.rpath, "/opt/a:/opt/b");
  EXPECT_EQ(Inspect(Sample("linked_runpath")).link.runpath, "/opt/a:/opt/b");
}

// Relocations that the linker leaves for other tools are not the loader's.
TEST(LinkedSamplesTest, EmittedRelocationsAreNotDoneAtLoadTime) {
  EXPECT_EQ(Inspect(Sample("linked_emit_relocs")).link.relocations,
            Inspect(Sample("linked_pie")).link.relocations);
}

// The first words of .got.plt may lie in the protected part, all others not.
TEST(LinkedSamplesTest, AStaticProgramsPltIsWritable) {
  EXPECT_EQ(Inspect(Sample("linked_static")).link.relro, RelroKind::kPartial);
}

// Section headers are for tools; loading needs none, and neither do these facts.
TEST(LinkFactsWithoutSectionsTest, AreTheSame) {
  for (const char* name : {"linked_relr", "linked_copy", "linked_static_pie", "linked_library.so",
                           "linked_sysv_hash"}) {
    std::vector<uint8_t> image = FileBytes(Sample(std::string(name) + "_stripped"));
    Elf64_Ehdr header;
    std::memcpy(&header, image.data(), sizeof(header));
    header.e_shnum = 0;
    header.e_shoff = 0;
    std::memcpy(image.data(), &header, sizeof(header));
    MemoryByteSource source(image);
    const ImageFacts bare = InspectImage(&source, {});
    const ImageFacts whole = Inspect(Sample(std::string(name) + "_stripped"));
    EXPECT_EQ(bare.link.relocations, whole.link.relocations) << name;
    EXPECT_EQ(bare.link.imported_symbols, whole.link.imported_symbols) << name;
    EXPECT_EQ(bare.link.exported_symbols, whole.link.exported_symbols) << name;
    EXPECT_EQ(bare.link.constructors, whole.link.constructors) << name;
    EXPECT_EQ(bare.link.destructors, whole.link.destructors) << name;
    ASSERT_EQ(bare.init_functions.size(), whole.init_functions.size()) << name;
  }
}

TEST(LinkFactsTest, PltRelocationsInsideTheOthersAreCountedOnce) {
  std::vector<uint8_t> image = FileBytes(Sample("linked_pie"));
  MemoryByteSource before(image);
  const RelocationCounts counts = InspectImage(&before, {}).link.relocations;
  // DT_RELASZ covers DT_JMPREL too, as some linkers have it.
  Elf64_Ehdr header;
  std::memcpy(&header, image.data(), sizeof(header));
  uint64_t rela = 0;
  uint64_t plt = 0;
  uint64_t plt_bytes = 0;
  uint64_t size_at = 0;
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    std::memcpy(&segment, image.data() + header.e_phoff + i * sizeof(segment), sizeof(segment));
    if (segment.p_type != PT_DYNAMIC) continue;
    for (uint64_t at = segment.p_offset; at < segment.p_offset + segment.p_filesz; at += 16) {
      Elf64_Dyn entry;
      std::memcpy(&entry, image.data() + at, sizeof(entry));
      if (entry.d_tag == DT_RELA) rela = entry.d_un.d_ptr;
      if (entry.d_tag == DT_JMPREL) plt = entry.d_un.d_ptr;
      if (entry.d_tag == DT_PLTRELSZ) plt_bytes = entry.d_un.d_val;
      if (entry.d_tag == DT_RELASZ) size_at = at + 8;
    }
  }
  ASSERT_GT(plt, rela);
  const uint64_t size = plt + plt_bytes - rela;
  std::memcpy(image.data() + size_at, &size, sizeof(size));
  MemoryByteSource after(image);
  EXPECT_EQ(InspectImage(&after, {}).link.relocations, counts);
}

TEST(LinkFactsTest, NothingIsSaidOfFilesThatAreNotForThisMachine) {
  std::vector<uint8_t> image = FileBytes(Sample("linked_pie"));
  Elf64_Ehdr header;
  std::memcpy(&header, image.data(), sizeof(header));
  header.e_machine = EM_AARCH64;
  std::memcpy(image.data(), &header, sizeof(header));
  MemoryByteSource source(image);
  const ImageFacts facts = InspectImage(&source, {});
  EXPECT_FALSE(facts.link.known);
  EXPECT_TRUE(facts.init_functions.empty());
}

}  // namespace
}  // namespace startscope
