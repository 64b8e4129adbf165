// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Go's function table of any bytes, inside a program that is otherwise sound: no crash, no read out
// of bounds, no more functions than the table has room for, and sites in executable code only.
// pclntab_seeds.py writes the seeds.

#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "daemon/elf/elf_file.h"
#include "daemon/elf/go_functions.h"
#include "daemon/elf/image_inspector.h"

namespace {

constexpr uint64_t kTextOffset = 0x1000;
constexpr uint64_t kTextAddress = 0x401000;
constexpr uint64_t kTextBytes = 0x1000;
constexpr uint64_t kTableOffset = 0x2000;
constexpr uint64_t kTableAddress = 0x500000;
constexpr char kSectionNames[] = "\0.gopclntab\0.shstrtab";

// A Go function: a stack check, a call, and what grows the stack.
constexpr uint8_t kFunction[32] = {0x49, 0x3b, 0x66, 0x10, 0x76, 0x0c, 0x55, 0xe8, 0x00,
                                   0x00, 0x00, 0x00, 0x5d, 0xc3, 0x90, 0x90, 0x90, 0x90,
                                   0xe8, 0x00, 0x00, 0x00, 0x00, 0xeb, 0xe7};

template <typename T>
void Put(const T& value, uint64_t offset, std::vector<uint8_t>* bytes) {
  std::memcpy(bytes->data() + offset, &value, sizeof(value));
}

std::vector<uint8_t> Program(std::span<const uint8_t> table) {
  const uint64_t names_offset = kTableOffset + table.size();
  const uint64_t sections_offset = (names_offset + sizeof(kSectionNames) + 7) / 8 * 8;
  std::vector<uint8_t> bytes(sections_offset + 3 * sizeof(Elf64_Shdr));
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_EXEC;
  header.e_machine = EM_X86_64;
  header.e_entry = kTextAddress;
  header.e_phoff = sizeof(Elf64_Ehdr);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 2;
  header.e_shoff = sections_offset;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 3;
  header.e_shstrndx = 2;
  Put(header, 0, &bytes);
  Elf64_Phdr segment{};
  segment.p_type = PT_LOAD;
  segment.p_flags = PF_R | PF_X;
  segment.p_offset = kTextOffset;
  segment.p_vaddr = kTextAddress;
  segment.p_filesz = segment.p_memsz = kTextBytes;
  Put(segment, sizeof(Elf64_Ehdr), &bytes);
  segment.p_flags = PF_R;
  segment.p_offset = kTableOffset;
  segment.p_vaddr = kTableAddress;
  segment.p_filesz = segment.p_memsz = table.size();
  Put(segment, sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr), &bytes);
  for (uint64_t at = kTextOffset; at < kTableOffset; at += sizeof(kFunction)) {
    Put(kFunction, at, &bytes);
  }
  std::memcpy(bytes.data() + kTableOffset, table.data(), table.size());
  std::memcpy(bytes.data() + names_offset, kSectionNames, sizeof(kSectionNames));
  Elf64_Shdr section{};
  section.sh_name = 1;
  section.sh_type = SHT_PROGBITS;
  section.sh_addr = kTableAddress;
  section.sh_offset = kTableOffset;
  section.sh_size = table.size();
  Put(section, sections_offset + sizeof(Elf64_Shdr), &bytes);
  section = {};
  section.sh_name = 12;
  section.sh_type = SHT_STRTAB;
  section.sh_offset = names_offset;
  section.sh_size = sizeof(kSectionNames);
  Put(section, sections_offset + 2 * sizeof(Elf64_Shdr), &bytes);
  return bytes;
}

bool InText(const startscope::MarkSite& site) {
  return site.address >= kTextAddress && site.address - kTextAddress < kTextBytes &&
         site.file_offset == site.address - kTextAddress + kTextOffset;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::vector<uint8_t> program = Program({data, size});
  startscope::MemoryByteSource source(program);
  startscope::ElfFile file(&source);
  uint64_t functions = 0;
  startscope::VisitGoFunctions(&file, [&](std::string_view name, uint64_t) {
    ++functions;
    if (name.size() > 256) std::abort();
  });
  if (functions > size / 8) std::abort();
  startscope::InspectOptions options;
  options.path_label = "program";
  const startscope::ImageFacts facts = startscope::InspectImage(&source, options);
  for (const startscope::MarkSite& site : facts.sites) {
    if (!InText(site)) std::abort();
  }
  if (facts.init_functions.size() > startscope::kMaxInitFunctions) std::abort();
  for (const startscope::InitFunction& function : facts.init_functions) {
    if (function.site.kind != startscope::MarkKind::kNone && !InText(function.site)) std::abort();
  }
  return 0;
}
