// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_ELF_ELF_FILE_H_
#define STARTSCOPE_DAEMON_ELF_ELF_FILE_H_

#include <elf.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
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
  uint64_t alignment = 0;
};

struct ElfSymbol {
  std::string_view name;  // valid during the visit only; the first 512 bytes of a longer one
  uint64_t address = 0;
  uint64_t size = 0;
  uint8_t type = 0;  // STT_*
  bool defined = false;
  bool local = false;
};

struct AddressRange {
  uint64_t begin = 0;
  uint64_t end = 0;
};

// A table that the dynamic section names; address 0: it names none.
struct DynamicTable {
  uint64_t address = 0;
  uint64_t bytes = 0;
};

struct ElfDynamic {
  bool present = false;
  std::vector<std::string> needed;
  std::string soname;
  std::string rpath;
  std::string runpath;
  uint64_t flags = 0;    // DT_FLAGS
  uint64_t flags_1 = 0;  // DT_FLAGS_1
  bool bind_now = false;
  bool text_relocations = false;
  bool prelinked = false;
  bool plt_is_rel = false;  // of `plt_relocations`: REL entries, not RELA
  DynamicTable rela;
  DynamicTable rel;
  DynamicTable relr;
  DynamicTable plt_relocations;  // DT_JMPREL; may lie inside `rela` or `rel`
  DynamicTable preinit_array;
  DynamicTable init_array;
  DynamicTable fini_array;
  DynamicTable strings;
  uint64_t symbols = 0;  // address of DT_SYMTAB, which has no size
  uint64_t hash = 0;     // DT_HASH
  uint64_t gnu_hash = 0;
  uint64_t init = 0;  // DT_INIT
  uint64_t fini = 0;
};

// A pointer that the file has the loader fill in.
enum class PointerKind : uint8_t {
  kPlain,     // what the file holds, moved with the file or not
  kSymbolic,  // of a symbol that this file defines: another object's may be taken instead
  kUnknown,   // another object's symbol, or something computed
};

struct FilePointer {
  PointerKind kind = PointerKind::kUnknown;
  uint64_t value = 0;  // link-time virtual
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
  // Those in the first `limit` words of a table; fewer when the file ends.
  std::vector<FilePointer> PointersIn(const DynamicTable& table, size_t limit);

  // Relocations that are done at load time, from the tables that the dynamic section names or, in a
  // file without one, from loaded sections. Each once. Read once; tables beyond the bounds are cut.
  const std::vector<Elf64_Rela>& Relocations();
  // The words of DT_RELR, still packed.
  std::vector<uint64_t> PackedRelocations();

  // File offset of an address inside a file-backed part of an executable PT_LOAD.
  [[nodiscard]] std::optional<uint64_t> CodeOffset(uint64_t address) const;

  // Visits the symbols of .symtab (SHT_SYMTAB) or .dynsym (SHT_DYNSYM; without section headers, of
  // the dynamic section's). False when there is none or it exceeds the bounds.
  bool VisitSymbols(uint32_t table_type, const std::function<void(const ElfSymbol&)>& visit);
  // The same table as it is in the file, without names.
  std::vector<Elf64_Sym> ReadSymbols(uint32_t table_type);

  // Read once; not `present` in a 32-bit file.
  const ElfDynamic& Dynamic();
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
  // The last function that begins at or before `address`, as long as its frame description says,
  // which may be less far than that; nullopt: there is none, or it does not say.
  std::optional<AddressRange> DescribedFunctionBefore(uint64_t address);

 private:
  bool ReadHeader();
  bool ReadNarrowHeader();
  void ReadSegments();
  void ReadSections();
  void ReadFunctionStarts();
  ElfDynamic ReadDynamic();
  uint64_t CountDynamicSymbols();
  // The table's bytes and, when `names` is not null, those of its names.
  std::vector<uint8_t> ReadSymbolTable(uint32_t table_type, std::vector<uint8_t>* names);
  void ReadRelocations();
  void AppendRelocations(std::span<const uint8_t> bytes, bool is_rel);
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
  std::vector<uint64_t> function_frames_;  // addresses of their frame descriptions, parallel
  std::optional<ElfDynamic> dynamic_;
  std::optional<std::vector<Elf64_Rela>> relocations_;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_ELF_FILE_H_
