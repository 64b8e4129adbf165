// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// What a hostile file can make the elf stage do: a bounded number of bytes read, bounded work, no
// site outside of its executable code.

#include <elf.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <ctime>

#include "daemon/elf/elf_file.h"
#include "daemon/elf/image_inspector.h"
#include "tests/unit/elf/elf_testing.h"

namespace startscope {
namespace {

// A file of any size that is one small image and then a repeated byte; counts what is read of it.
class SparseSource : public ByteSource {
 public:
  SparseSource(std::vector<uint8_t> image, uint64_t size, uint8_t filler = 0)
      : ByteSource(size, kReadBudgetBytes), image_(std::move(image)), filler_(filler) {}

  [[nodiscard]] uint64_t read_bytes() const { return read_bytes_; }

 protected:
  bool ReadAt(uint64_t offset, std::span<uint8_t> out) override {
    read_bytes_ += out.size();
    std::memset(out.data(), filler_, out.size());
    if (offset < image_.size()) {
      std::memcpy(out.data(), image_.data() + offset,
                  std::min<uint64_t>(out.size(), image_.size() - offset));
    }
    return true;
  }

 private:
  const std::vector<uint8_t> image_;
  const uint8_t filler_;
  uint64_t read_bytes_ = 0;
};

ImageFacts InspectQuietly(ByteSource* source, bool is_loader = false) {
  InspectOptions options;
  options.is_loader_hint = is_loader;
  return InspectImage(source, options);
}

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

Elf64_Ehdr Header(const std::vector<uint8_t>& image) {
  Elf64_Ehdr header;
  std::memcpy(&header, image.data(), sizeof(header));
  return header;
}

void SetHeader(std::vector<uint8_t>* image, const Elf64_Ehdr& header) {
  std::memcpy(image->data(), &header, sizeof(header));
}

// An executable whose sections are `sections`, right behind the header; names come from section 0.
std::vector<uint8_t> WithSections(const std::vector<Elf64_Shdr>& sections, uint16_t type,
                                  uint64_t claimed_entry = 0) {
  std::vector<uint8_t> image(sizeof(Elf64_Ehdr) + sections.size() * sizeof(Elf64_Shdr));
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = type;
  header.e_machine = EM_X86_64;
  header.e_entry = claimed_entry;
  header.e_shoff = sizeof(header);
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = static_cast<uint16_t>(sections.size());
  SetHeader(&image, header);
  std::memcpy(image.data() + sizeof(header), sections.data(), sections.size() * sizeof(Elf64_Shdr));
  return image;
}

TEST(LimitsTest, AnEmptyFileIsNotElf) {
  MemoryByteSource source(std::span<const uint8_t>{});
  EXPECT_NE(InspectQuietly(&source).error, "");
}

TEST(LimitsTest, ImpossibleProgramHeaderCountsAreAnError) {
  std::vector<uint8_t> image = FileBytes(Program("freestanding_c"));
  Elf64_Ehdr header = Header(image);
  header.e_phnum = 0xffff;
  SetHeader(&image, header);
  MemoryByteSource source(image);
  const ImageFacts facts = InspectQuietly(&source);
  EXPECT_NE(facts.error, "");
  EXPECT_TRUE(facts.sites.empty());
}

TEST(LimitsTest, ImpossibleSectionCountsCostTheSectionsOnly) {
  std::vector<uint8_t> image = FileBytes(Program("hello_glibc_dynamic_stripped"));
  Elf64_Ehdr header = Header(image);
  header.e_shnum = 0xffff;
  SetHeader(&image, header);
  MemoryByteSource source(image);
  const ImageFacts facts = InspectQuietly(&source);
  EXPECT_EQ(facts.error, "");
  EXPECT_EQ(facts.libc, Libc::kGlibc);
  EXPECT_NE(facts.main_address, 0u);
}

TEST(LimitsTest, SectionsThatAllCoverTheWholeFileExhaustTheBudgetAndNoMore) {
  Elf64_Shdr relocations{};
  relocations.sh_type = SHT_RELA;
  relocations.sh_size = 24u << 20;
  const std::vector<uint8_t> image =
      WithSections(std::vector<Elf64_Shdr>(4096, relocations), ET_EXEC);
  SparseSource source(image, 1u << 30, 0x41);
  InspectQuietly(&source);
  EXPECT_LE(source.read_bytes(), kReadBudgetBytes);
}

// A million symbols, each with the longest name that is looked at.
TEST(LimitsTest, AMillionLongNamesTakeBoundedTime) {
  Elf64_Shdr symbols{};
  symbols.sh_type = SHT_SYMTAB;
  symbols.sh_offset = 1u << 20;
  symbols.sh_size = 24u << 20;
  symbols.sh_link = 1;
  Elf64_Shdr strings{};
  strings.sh_type = SHT_STRTAB;
  strings.sh_size = 32u << 20;
  SparseSource source(WithSections({symbols, strings}, ET_EXEC), 1u << 30, 0x01);
  const double begin = CpuSeconds();
  InspectQuietly(&source);
  EXPECT_LT(CpuSeconds() - begin, 10.0);
  EXPECT_LE(source.read_bytes(), kReadBudgetBytes);
}

TEST(LimitsTest, AGiantOfOneInstructionIsScannedInBoundedTime) {
  std::vector<uint8_t> image = FileBytes(Sample("ld-state-setter.so"));
  Elf64_Ehdr header = Header(image);
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    uint8_t* const at = image.data() + header.e_phoff + i * sizeof(segment);
    std::memcpy(&segment, at, sizeof(segment));
    if (segment.p_type == PT_LOAD) segment.p_filesz = segment.p_memsz = 1u << 29;
    std::memcpy(at, &segment, sizeof(segment));
  }
  for (int i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section;
    uint8_t* const at = image.data() + header.e_shoff + i * sizeof(section);
    std::memcpy(&section, at, sizeof(section));
    if ((section.sh_flags & SHF_EXECINSTR) != 0) section.sh_size = 8u << 20;
    std::memcpy(at, &section, sizeof(section));
  }
  SparseSource source(image, 1u << 30, 0x90);
  const double begin = CpuSeconds();
  InspectQuietly(&source, /*is_loader=*/true);
  EXPECT_LT(CpuSeconds() - begin, 20.0);
  EXPECT_LE(source.read_bytes(), kReadBudgetBytes);
}

// Ten thousand damaged loaders: the most code is analysed there.
TEST(LimitsTest, SitesOfDamagedFilesLieInExecutableCode) {
  const std::vector<uint8_t> whole = FileBytes(Sample("ld-state-setter.so_stripped"));
  uint32_t state = 99;
  const auto next = [&] { return state = state * 1664525u + 1013904223u; };
  for (int round = 0; round < 10'000; ++round) {
    std::vector<uint8_t> mutant = whole;
    for (int i = 0; i < 4; ++i) mutant[(next() >> 8) % mutant.size()] = next() >> 24;
    MemoryByteSource source(mutant);
    const ImageFacts facts = InspectQuietly(&source, /*is_loader=*/true);
    ElfFile file(&source);
    for (const MarkSite& site : facts.sites) {
      ASSERT_LT(site.file_offset, mutant.size());
      ASSERT_EQ(file.CodeOffset(site.address), site.file_offset);
    }
  }
}

TEST(ObjectFileTest, IsNoProgram) {
  const std::vector<uint8_t> image = WithSections({Elf64_Shdr{}}, ET_REL);
  MemoryByteSource source(image);
  const ImageFacts facts = InspectQuietly(&source);
  EXPECT_EQ(facts.kind, ImageKind::kUnknown);
  EXPECT_NE(facts.error, "");
}

TEST(NarrowProgramTest, A32BitProgramIsKnownByItsInterpreter) {
  const Elf32_Ehdr header = [] {
    Elf32_Ehdr value{};
    std::memcpy(value.e_ident, ELFMAG, SELFMAG);
    value.e_ident[EI_CLASS] = ELFCLASS32;
    value.e_ident[EI_DATA] = ELFDATA2LSB;
    value.e_type = ET_DYN;
    value.e_machine = EM_386;
    value.e_entry = 0x1050;
    value.e_phoff = sizeof(value);
    value.e_phentsize = sizeof(Elf32_Phdr);
    value.e_phnum = 1;
    return value;
  }();
  const char name[] = "/lib/ld-linux.so.2";
  Elf32_Phdr interpreter{};
  interpreter.p_type = PT_INTERP;
  interpreter.p_offset = sizeof(header) + sizeof(interpreter);
  interpreter.p_filesz = sizeof(name);
  std::vector<uint8_t> image(interpreter.p_offset + sizeof(name));
  std::memcpy(image.data(), &header, sizeof(header));
  std::memcpy(image.data() + sizeof(header), &interpreter, sizeof(interpreter));
  std::memcpy(image.data() + interpreter.p_offset, name, sizeof(name));
  MemoryByteSource source(image);
  const ImageFacts facts = InspectQuietly(&source);
  EXPECT_EQ(facts.error, "");
  EXPECT_EQ(facts.kind, ImageKind::kExecutable);
  EXPECT_EQ(facts.linkage, Linkage::kDynamic);
  EXPECT_EQ(facts.libc, Libc::kGlibc);
  EXPECT_EQ(facts.language, Language::kUnknown);
  EXPECT_FALSE(facts.is_64_bit);
  EXPECT_EQ(facts.machine, EM_386);
  EXPECT_TRUE(facts.sites.empty());
}

TEST(ForeignProgramTest, AnotherMachinesStaticProgramIsNotCalledFreestanding) {
  std::vector<uint8_t> image = FileBytes(Program("freestanding_c"));
  Elf64_Ehdr header = Header(image);
  header.e_machine = EM_AARCH64;
  SetHeader(&image, header);
  MemoryByteSource source(image);
  const ImageFacts facts = InspectQuietly(&source);
  EXPECT_EQ(facts.libc, Libc::kUnknown);
  EXPECT_FALSE(EntryIsMain(facts));
  EXPECT_TRUE(facts.sites.empty());
}

TEST(ScriptTest, TheInterpretersNameEndsWhereTheKernelEndsIt) {
  const auto interpreter_of = [](std::string_view text) {
    MemoryByteSource source({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    return InspectQuietly(&source).interpreter;
  };
  EXPECT_EQ(interpreter_of("#! /bin/sh -e\n"), "/bin/sh");
  EXPECT_EQ(interpreter_of("#!/bin/sh"), "/bin/sh");
  EXPECT_EQ(interpreter_of(std::string_view("#!/bin/sh\0junk", 14)), "/bin/sh");
}

}  // namespace
}  // namespace startscope
