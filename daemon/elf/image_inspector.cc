// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/elf/image_inspector.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/elf/debug_file.h"
#include "daemon/elf/elf_file.h"
#include "daemon/elf/init_functions.h"
#include "daemon/elf/link_facts.h"
#include "daemon/elf/mark_finder.h"
#include "daemon/elf/mini_debug.h"
#include "daemon/elf/runtime_classifier.h"
#include "daemon/elf/size_views.h"
#include "daemon/elf/symbol_ladder.h"

namespace startscope {
namespace {

constexpr uint64_t kMaxInterpreterName = 4096;
constexpr size_t kMaxScriptLine = 255;  // BINPRM_BUF_SIZE - 1

bool ReadScript(ByteSource* source, ImageFacts* facts) {
  std::vector<uint8_t> line(std::min<uint64_t>(source->size(), kMaxScriptLine));
  if (line.size() < 3 || !source->Read(0, line) || line[0] != '#' || line[1] != '!') return false;
  const std::string text(line.begin() + 2, line.end());
  const size_t begin = text.find_first_not_of(" \t");
  const size_t end = text.find_first_of(std::string_view(" \t\n\0", 4), begin);
  facts->kind = ImageKind::kScript;
  if (begin == std::string::npos || text[begin] == '\n') {
    facts->error = absl::StrCat(facts->path, ": #! line without an interpreter");
  } else {
    facts->interpreter = text.substr(begin, end == std::string::npos ? end : end - begin);
  }
  return true;
}

void ReadSegments(const ElfFile& file, ImageFacts* facts) {
  for (const Elf64_Phdr& segment : file.segments()) {
    if (segment.p_type == PT_GNU_RELRO) {
      facts->relro_address = segment.p_vaddr;
      facts->relro_bytes = segment.p_memsz;
    }
    if (segment.p_type == PT_PHDR) facts->phdr_address = segment.p_vaddr;
    if (segment.p_type != PT_LOAD) continue;
    LoadSegment load;
    load.address = segment.p_vaddr;
    load.memory_bytes = segment.p_memsz;
    load.file_offset = segment.p_offset;
    load.file_bytes = segment.p_filesz;
    load.readable = (segment.p_flags & PF_R) != 0;
    load.writable = (segment.p_flags & PF_W) != 0;
    load.executable = (segment.p_flags & PF_X) != 0;
    facts->segments.push_back(load);
    const uint64_t phdr_offset = file.header().e_phoff;
    if (facts->phdr_address == 0 && phdr_offset >= segment.p_offset &&
        phdr_offset - segment.p_offset < segment.p_filesz) {
      facts->phdr_address = segment.p_vaddr + (phdr_offset - segment.p_offset);
    }
  }
}

void NameInitFunctionsBy(ByteSource* table_file, SiteRung rung, ImageFacts* facts) {
  if (table_file == nullptr) return;
  ElfFile file(table_file);
  NameInitFunctions(&file, SHT_SYMTAB, rung, facts);
}

// How a 64-bit x86-64 file was linked and what it runs before main.
void DescribeLinking(ElfFile* file, const OtherTables& others, ImageFacts* facts) {
  ReadLinkFacts(file, facts->size_bytes, &facts->link);
  ReadSizes(file, &facts->link);
  FindInitFunctions(file, facts);
  NameInitFunctions(file, SHT_SYMTAB, SiteRung::kSymtab, facts);
  for (ByteSource* const debug_file : others.debug_files) {
    NameInitFunctionsBy(debug_file, SiteRung::kDebugFile, facts);
  }
  NameInitFunctionsBy(others.mini_debug, SiteRung::kMiniDebug, facts);
  NameInitFunctions(file, SHT_DYNSYM, SiteRung::kDynsym, facts);
}

// A library that runs nothing but what the compiler puts into every one has no names worth
// unpacking a table for: one word in its array, for frame_dummy.
bool RunsItsOwn(ElfFile* file) { return file->Dynamic().init_array.bytes > sizeof(uint64_t); }

}  // namespace

ImageFacts InspectImage(ByteSource* source, const InspectOptions& options) {
  ImageFacts facts;
  facts.path = options.path_label;
  facts.size_bytes = source->size();
  if (ReadScript(source, &facts)) return facts;
  ElfFile file(source);
  facts.machine = file.header().e_machine;
  facts.is_64_bit = file.is_64_bit();
  if (!file.error().empty()) {
    facts.error = absl::StrCat(facts.path, ": ", file.error());
    return facts;
  }
  facts.entry_address = file.header().e_entry;
  facts.position_independent = file.header().e_type == ET_DYN;
  ReadSegments(file, &facts);
  if (const Elf64_Phdr* segment = file.FindSegment(PT_INTERP)) {
    const std::vector<uint8_t> name =
        file.ReadAt(segment->p_offset, std::min<uint64_t>(segment->p_filesz, kMaxInterpreterName));
    facts.interpreter.assign(name.begin(), std::find(name.begin(), name.end(), uint8_t{0}));
  }
  // Of a 32-bit file only the header and the program headers are read.
  const ElfDynamic& dynamic = file.Dynamic();
  facts.needed = dynamic.needed;
  facts.soname = dynamic.soname;
  facts.build_id = file.ReadBuildId();
  OtherTables others;
  std::vector<uint8_t> unpacked;
  std::optional<MemoryByteSource> mini_debug;
  if (!HasSymbolTable(file)) {
    others.debug_files = MatchDebugFiles(&file, options.debug_candidates);
    // Beside a debug file too: what is wrong in that is looked for here.
    if (!options.is_library || RunsItsOwn(&file)) {
      unpacked = ReadMiniDebug(&file);
      if (!unpacked.empty()) others.mini_debug = &mini_debug.emplace(unpacked);
    }
  }
  if (options.is_library) {
    facts.kind = ImageKind::kLibrary;
    if (facts.machine == EM_X86_64 && facts.is_64_bit) {
      FindLibraryMarks(&file, &facts);
      DescribeLinking(&file, others, &facts);
    }
    return facts;
  }
  const SymbolLadder symbols(&file, others);
  facts.has_symtab = symbols.has_symtab();
  facts.debug_file_used = symbols.debug_file_used();
  ClassifyRuntime(&file, dynamic, symbols, options.is_loader_hint, &facts);
  if (facts.machine != EM_X86_64 || !facts.is_64_bit) return facts;
  // Before the marks: a language's own init functions follow those that its file lists.
  DescribeLinking(&file, others, &facts);
  if (facts.kind == ImageKind::kLoader) {
    FindLoaderMarks(&file, symbols, &facts);
    FindLibraryMarks(&file, &facts);  // musl's loader is its libc
  }
  if (facts.kind == ImageKind::kExecutable) FindExecutableMarks(&file, symbols, &facts);
  return facts;
}

ImageFacts InspectImage(int fd, const InspectOptions& options) {
  ImageFacts facts;
  facts.path = options.path_label;
  struct stat status {};
  if (fstat(fd, &status) != 0) {
    facts.error = absl::StrCat(facts.path, ": ", std::strerror(errno));
    return facts;
  }
  if (!S_ISREG(status.st_mode)) {
    facts.error = absl::StrCat(facts.path, ": not a regular file");
    return facts;
  }
  FdByteSource source(fd, static_cast<uint64_t>(status.st_size));
  return InspectImage(&source, options);
}

}  // namespace startscope
