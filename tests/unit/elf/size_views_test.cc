// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Sizes by segment, section and symbol, against readelf; and files whose tables contradict each
// other.

#include <elf.h>
#include <gtest/gtest.h>

#include <cctype>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include "tests/unit/elf/elf_testing.h"

namespace startscope {
namespace {

SizeView SegmentsByReadelf(const std::string& path) {
  SizeView view;
  std::istringstream lines(Output("readelf -lW " + path + " 2>/dev/null"));
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string type, offset, address, physical, file_size, memory_size;
    fields >> type >> offset >> address >> physical >> file_size >> memory_size;
    if (type != "LOAD") continue;
    const std::string flags = line.substr(line.find(memory_size, line.find(file_size) + 1));
    const uint64_t in_file = std::stoull(file_size, nullptr, 16);
    if (flags.find('E') != std::string::npos) {
      view.code += in_file;
    } else {
      (flags.find('W') != std::string::npos ? view.data : view.read_only) += in_file;
    }
    view.zero += std::stoull(memory_size, nullptr, 16) - in_file;
  }
  return view;
}

SizeView SectionsByReadelf(const std::string& path) {
  SizeView view;
  std::istringstream lines(Output("readelf -SW " + path + " 2>/dev/null"));
  std::string line;
  while (std::getline(lines, line)) {
    const size_t bracket = line.find(']');
    if (line.find("  [") != 0 || bracket == std::string::npos || line.find(" NULL ") < 30) continue;
    std::istringstream fields(line.substr(bracket + 1));
    std::string name, type, address, offset, size, entry, flags;
    fields >> name >> type >> address >> offset >> size >> entry >> flags;
    if (name == "Name") continue;
    const uint64_t bytes = std::stoull(size, nullptr, 16);
    const bool in_file = type != "NOBITS";
    if (flags.find('A') == std::string::npos) {
      if (in_file) view.not_loaded += bytes;
    } else if (!in_file && flags.find('T') != std::string::npos) {
      continue;
    } else if (flags.find('X') != std::string::npos) {
      view.code += bytes;
    } else if (flags.find('W') != std::string::npos) {
      (in_file ? view.data : view.zero) += bytes;
    } else {
      view.read_only += bytes;
    }
  }
  return view;
}

class SizesTest : public ::testing::TestWithParam<std::string> {};

TEST_P(SizesTest, BySegmentAreTheProgramHeaders) {
  const LinkFacts link = Inspect(GetParam()).link;
  const SizeView expected = SegmentsByReadelf(GetParam());
  EXPECT_EQ(link.by_segments.code, expected.code);
  EXPECT_EQ(link.by_segments.read_only, expected.read_only);
  EXPECT_EQ(link.by_segments.data, expected.data);
  EXPECT_EQ(link.by_segments.zero, expected.zero);
  EXPECT_EQ(link.file_bytes, FileBytes(GetParam()).size());
  EXPECT_LE(link.by_segments.not_loaded, link.file_bytes);
}

TEST_P(SizesTest, BySectionAreTheSectionHeaders) {
  const LinkFacts link = Inspect(GetParam()).link;
  const SizeView expected = SectionsByReadelf(GetParam());
  EXPECT_EQ(link.by_sections.code, expected.code);
  EXPECT_EQ(link.by_sections.read_only, expected.read_only);
  EXPECT_EQ(link.by_sections.data, expected.data);
  EXPECT_EQ(link.by_sections.zero, expected.zero);
  EXPECT_EQ(link.by_sections.not_loaded, expected.not_loaded);
}

TEST_P(SizesTest, BySymbolAreNoMoreThanTheirSections) {
  const LinkFacts link = Inspect(GetParam()).link;
  EXPECT_LE(link.by_symbols.code, link.by_sections.code);
  EXPECT_LE(link.by_symbols.read_only, link.by_sections.read_only);
  EXPECT_LE(link.by_symbols.data, link.by_sections.data);
  EXPECT_LE(link.by_symbols.zero, link.by_sections.zero);
}

// What linkers write is explained by headers and padding.
TEST_P(SizesTest, OfARealFileAgree) {
  for (const std::string& text : Inspect(GetParam()).link.disagreements) ADD_FAILURE() << text;
}

std::string NameOf(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param.substr(info.param.rfind('/') + 1);
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Files, SizesTest, ::testing::ValuesIn(ManyFiles()), NameOf);

// A sample whose section headers are edited.
class EditedImage {
 public:
  explicit EditedImage(const std::string& sample) : bytes_(FileBytes(Sample(sample))) {
    std::memcpy(&header_, bytes_.data(), sizeof(header_));
  }

  template <typename Edit>
  void Section(const std::string& name, Edit edit) {
    const Elf64_Shdr names = At(header_.e_shstrndx);
    for (int i = 0; i < header_.e_shnum; ++i) {
      Elf64_Shdr section = At(i);
      const char* text = reinterpret_cast<const char*>(bytes_.data()) + names.sh_offset;
      if (name != text + section.sh_name) continue;
      edit(section);
      std::memcpy(bytes_.data() + header_.e_shoff + i * sizeof(section), &section, sizeof(section));
    }
  }
  [[nodiscard]] Elf64_Shdr At(int index) const {
    Elf64_Shdr section;
    std::memcpy(&section, bytes_.data() + header_.e_shoff + index * sizeof(section),
                sizeof(section));
    return section;
  }
  std::vector<uint8_t>& bytes() { return bytes_; }

  std::vector<std::string> Disagreements() {
    MemoryByteSource source(bytes_);
    return InspectImage(&source, {}).link.disagreements;
  }
  // The only disagreement that holds `text`.
  std::string Disagreement(const std::string& text) {
    std::string found;
    for (const std::string& one : Disagreements()) {
      if (one.find(text) == std::string::npos) continue;
      EXPECT_EQ(found, "");
      found = one;
    }
    return found;
  }

 private:
  std::vector<uint8_t> bytes_;
  Elf64_Ehdr header_;
};

TEST(DisagreementTest, ASectionInNoSegment) {
  EditedImage image("linked_pie");
  image.Section(".rodata", [](Elf64_Shdr& section) { section.sh_addr += 1u << 24; });
  EXPECT_NE(image.Disagreement("section .rodata: "), "");
}

TEST(DisagreementTest, ASectionLargerThanItsSegment) {
  EditedImage image("linked_pie");
  image.Section(".text", [](Elf64_Shdr& section) { section.sh_size = 12345; });
  EXPECT_NE(image.Disagreement("section .text: 12,345 bytes, of which its segment").find("(r-x)"),
            std::string::npos);
}

TEST(DisagreementTest, SectionsThatOverlap) {
  EditedImage image("linked_pie");
  image.Section(".rodata", [](Elf64_Shdr& section) {
    section.sh_size += 64;  // into .eh_frame_hdr
  });
  EXPECT_NE(image.Disagreement("sections .rodata").find("share"), std::string::npos);
}

TEST(DisagreementTest, CodeInASegmentThatIsNotExecutable) {
  EditedImage image("linked_pie");
  image.Section(".rodata", [](Elf64_Shdr& section) { section.sh_flags |= SHF_EXECINSTR; });
  EXPECT_NE(image.Disagreement("section .rodata: ").find("bytes are executable"),
            std::string::npos);
}

TEST(DisagreementTest, ASectionElsewhereInTheFileThanItsSegmentSays) {
  EditedImage image("linked_pie");
  image.Section(".rodata", [](Elf64_Shdr& section) { section.sh_offset += 16; });
  EXPECT_NE(image.Disagreement("where its segment has byte"), "");
}

TEST(DisagreementTest, BytesOfASegmentThatNoSectionStates) {
  EditedImage image("linked_static");
  uint64_t size = 0;
  image.Section(".rodata", [&](Elf64_Shdr& section) {
    size = section.sh_size;
    section.sh_type = SHT_NULL;
  });
  ASSERT_GT(size, 4096u);
  EXPECT_NE(image.Disagreement("are in no section"), "");
}

TEST(DisagreementTest, SymbolsBeyondTheirSection) {
  EditedImage image("linked_pie");
  uint64_t table = 0;
  uint64_t bytes = 0;
  image.Section(".symtab", [&](Elf64_Shdr& section) {
    table = section.sh_offset;
    bytes = section.sh_size;
  });
  for (uint64_t at = table; at < table + bytes; at += sizeof(Elf64_Sym)) {
    Elf64_Sym symbol;
    std::memcpy(&symbol, image.bytes().data() + at, sizeof(symbol));
    if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_size == 0) continue;
    symbol.st_size = 100'000;
    std::memcpy(image.bytes().data() + at, &symbol, sizeof(symbol));
    break;
  }
  EXPECT_NE(image.Disagreement("1 symbol beyond their section").find("100,000 bytes"),
            std::string::npos);
}

TEST(DisagreementTest, CodeThatSymbolsDoNotCover) {
  EditedImage image("linked_static");
  image.Section(".symtab", [](Elf64_Shdr& section) { section.sh_size /= 4; });
  EXPECT_NE(image.Disagreement("symbols cover"), "");
}

TEST(DisagreementTest, BytesBehindTheEndOfTheFile) {
  EditedImage image("linked_pie");
  image.bytes().resize(image.bytes().size() + 1'000'000);
  EXPECT_NE(image.Disagreement("1,000,000 behind them are in no segment"), "");
}

TEST(DisagreementTest, ASegmentThatGoesOnBehindTheEndOfTheFile) {
  EditedImage image("linked_static");
  image.bytes().resize(image.bytes().size() / 2);
  bool told = false;
  for (const std::string& text : image.Disagreements()) {
    told |= text.find("segment at") == 0 && text.find(" of a file of ") != std::string::npos;
  }
  EXPECT_TRUE(told);
}

TEST(DisagreementTest, ReadOnlyDataInACodeSegmentIsNone) {
  const LinkFacts link = Inspect(Sample("linked_one_segment")).link;
  EXPECT_GT(link.by_sections.read_only, 0u);
  EXPECT_EQ(link.by_segments.read_only, 0u);
  EXPECT_TRUE(link.disagreements.empty());
}

TEST(DisagreementTest, NamesFromTheFileAreMadePrintable) {
  EditedImage image("linked_pie");
  image.Section(".rodata", [](Elf64_Shdr& section) { section.sh_addr += 1u << 24; });
  for (size_t i = 0; i + 7 < image.bytes().size(); ++i) {
    if (std::memcmp(image.bytes().data() + i, ".rodata", 7) == 0) image.bytes()[i] = 0xff;
  }
  EXPECT_NE(image.Disagreement("section \\xffrodata: "), "");
}

TEST(SectionListTest, HasTheLargestFirst) {
  const LinkFacts link = Inspect(Sample("linked_static")).link;
  ASSERT_GT(link.sections.size(), 5u);
  EXPECT_EQ(link.sections[0].name, ".text");
  for (size_t i = 1; i < link.sections.size(); ++i) {
    EXPECT_GE(link.sections[i - 1].bytes, link.sections[i].bytes);
  }
}

}  // namespace
}  // namespace startscope
