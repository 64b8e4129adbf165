// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_ELF_ELF_FILE_H_
#define STARTSCOPE_DAEMON_ELF_ELF_FILE_H_

#include <elf.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/elf/byte_source.h"

namespace startscope {

struct ElfSection {
  std::string name;
  uint32_t type = 0;
  uint64_t flags = 0;
  uint64_t address = 0;
  uint64_t offset = 0;
  uint64_t size = 0;
  uint32_t link = 0;
  uint64_t entry_size = 0;
};

struct ElfSymbol {
  std::string_view name;  // valid during the visit only; the first 512 bytes of a longer one
  uint64_t address = 0;
  uint64_t size = 0;
  uint8_t type = 0;  // STT_*
  bool defined = false;
};

struct AddressRange {
  uint64_t begin = 0;
  uint64_t end = 0;
};

struct ElfDynamic {
  bool present = false;
  std::vector<std::string> needed;
  std::string soname;
  uint64_t flags_1 = 0;
};

// A little-endian ELF file (of a 32-bit one, header and program headers only), read with every
// offset and count checked against the file and against fixed bounds. Nothing throws or aborts;
// what is out of bounds is absent. One thread.
class ElfFile {
 public:
  // Does not own `source`. `error()` says why the file is not usable; accessors are then empty.
  explicit ElfFile(ByteSource* source);

  [[nodiscard]] const std::string& error() const { return error_; }
  [[nodiscard]] bool is_elf() const { return is_elf_; }
  [[nodiscard]] bool is_64_bit() const { return is_64_bit_; }
  [[nodiscard]] const Elf64_Ehdr& header() const { return header_; }
  [[nodiscard]] const std::vector<Elf64_Phdr>& segments() const { return segments_; }
  [[nodiscard]] const std::vector<ElfSection>& sections() const { return sections_; }

  [[nodiscard]] const ElfSection* FindSection(std::string_view name) const;
  [[nodiscard]] const Elf64_Phdr* FindSegment(uint32_t type) const;

  // Up to `limit` bytes at a file offset; fewer when the file ends. Empty on any error.
  std::vector<uint8_t> ReadAt(uint64_t offset, uint64_t limit);
  // The same at a link-time address; never beyond the file-backed part of its segment.
  std::vector<uint8_t> ReadAtAddress(uint64_t address, uint64_t limit);
  // A whole section of at most `limit` bytes; empty when it is larger or has none in the file.
  std::vector<uint8_t> ReadSection(const ElfSection& section, uint64_t limit);

  // The pointer that will be in the word at `address` once the file is loaded: the addend of its
  // relative relocation, or what the file holds.
  std::optional<uint64_t> PointerAt(uint64_t address);

  // File offset of an address inside a file-backed part of an executable PT_LOAD.
  [[nodiscard]] std::optional<uint64_t> CodeOffset(uint64_t address) const;

  // Visits the symbols of .symtab (SHT_SYMTAB) or .dynsym (SHT_DYNSYM). False when there is none or
  // it exceeds the bounds.
  bool VisitSymbols(uint32_t table_type, const std::function<void(const ElfSymbol&)>& visit);

  ElfDynamic ReadDynamic();
  // Lower-case hexadecimal; empty when absent.
  std::string ReadBuildId();
  // True when some note has this owner name.
  bool HasNote(std::string_view owner, uint32_t type);
  // Start addresses of functions, ascending, from .eh_frame_hdr, which stripping leaves alone. Read
  // once; empty when there is no such table.
  const std::vector<uint64_t>& FunctionStarts();
  // The function that holds `address`, at most 64 KiB of it; without a table, the 4 KiB from
  // `address` on.
  AddressRange FunctionAround(uint64_t address);

 private:
  bool ReadHeader();
  bool ReadNarrowHeader();
  void ReadSegments();
  void ReadSections();
  std::vector<uint64_t> ReadFunctionStarts();
  void ReadRelativeRelocations();
  void VisitNotes(const std::function<bool(std::string_view owner, uint32_t type,
                                           std::span<const uint8_t> content)>& visit);

  ByteSource* const source_;
  std::string error_;
  bool is_elf_ = false;
  bool is_64_bit_ = false;
  Elf64_Ehdr header_{};
  std::vector<Elf64_Phdr> segments_;
  std::vector<ElfSection> sections_;
  std::optional<std::vector<uint64_t>> function_starts_;
  std::optional<std::map<uint64_t, uint64_t>> relative_relocations_;  // address -> addend
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_ELF_FILE_H_
