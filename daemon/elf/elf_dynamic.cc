// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// What the dynamic section leads to: names of other files, symbols, relocations.

#include <algorithm>
#include <cstring>

#include "daemon/elf/bounded_text.h"
#include "daemon/elf/elf_file.h"

namespace startscope {
namespace {

constexpr uint64_t kMaxSymbolBytes = 24u << 20;
constexpr uint64_t kMaxStringBytes = 32u << 20;
constexpr uint64_t kMaxRelocationBytes = 24u << 20;
constexpr uint64_t kMaxPackedBytes = 4u << 20;
constexpr uint64_t kMaxDynamicBytes = 64u << 10;
// Longer names are cut: a table may claim a million of them.
constexpr uint64_t kMaxSymbolName = 512;
constexpr size_t kMaxNeeded = 1024;

// Of two tables of which the second may lie in the first: its part outside of the first.
DynamicTable Remainder(const DynamicTable& first, const DynamicTable& second) {
  if (first.address == 0 || second.address == 0) return second;
  if (second.address < first.address) {
    return {second.address, std::min(second.bytes, first.address - second.address)};
  }
  if (second.address - first.address >= first.bytes) return second;
  const uint64_t shared = std::min(first.bytes - (second.address - first.address), second.bytes);
  return {second.address + shared, second.bytes - shared};
}

}  // namespace

const ElfDynamic& ElfFile::Dynamic() {
  if (!dynamic_) dynamic_ = is_64_bit_ ? ReadDynamic() : ElfDynamic{};
  return *dynamic_;
}

ElfDynamic ElfFile::ReadDynamic() {
  ElfDynamic dynamic;
  const Elf64_Phdr* segment = FindSegment(PT_DYNAMIC);
  if (segment == nullptr) return dynamic;
  dynamic.present = true;
  const std::vector<uint8_t> entries =
      ReadAt(segment->p_offset, std::min<uint64_t>(segment->p_filesz, kMaxDynamicBytes));
  uint64_t soname = UINT64_MAX;
  uint64_t rpath = UINT64_MAX;
  uint64_t runpath = UINT64_MAX;
  std::vector<uint64_t> needed;
  for (size_t at = 0; at + sizeof(Elf64_Dyn) <= entries.size(); at += sizeof(Elf64_Dyn)) {
    const auto entry = LoadFrom<Elf64_Dyn>(entries.data() + at);
    const uint64_t value = entry.d_un.d_val;
    if (entry.d_tag == DT_NULL) break;
    switch (entry.d_tag) {
      case DT_NEEDED:
        if (needed.size() < kMaxNeeded) needed.push_back(value);
        break;
      case DT_SONAME:
        soname = value;
        break;
      case DT_RPATH:
        rpath = value;
        break;
      case DT_RUNPATH:
        runpath = value;
        break;
      case DT_FLAGS:
        dynamic.flags = value;
        break;
      case DT_FLAGS_1:
        dynamic.flags_1 = value;
        break;
      case DT_BIND_NOW:
        dynamic.bind_now = true;
        break;
      case DT_TEXTREL:
        dynamic.text_relocations = true;
        break;
      case DT_GNU_PRELINKED:
        dynamic.prelinked = true;
        break;
      case DT_STRTAB:
        dynamic.strings.address = value;
        break;
      case DT_STRSZ:
        dynamic.strings.bytes = value;
        break;
      case DT_SYMTAB:
        dynamic.symbols = value;
        break;
      case DT_HASH:
        dynamic.hash = value;
        break;
      case DT_GNU_HASH:
        dynamic.gnu_hash = value;
        break;
      case DT_RELA:
        dynamic.rela.address = value;
        break;
      case DT_RELASZ:
        dynamic.rela.bytes = value;
        break;
      case DT_REL:
        dynamic.rel.address = value;
        break;
      case DT_RELSZ:
        dynamic.rel.bytes = value;
        break;
      case DT_RELR:
        dynamic.relr.address = value;
        break;
      case DT_RELRSZ:
        dynamic.relr.bytes = value;
        break;
      case DT_JMPREL:
        dynamic.plt_relocations.address = value;
        break;
      case DT_PLTRELSZ:
        dynamic.plt_relocations.bytes = value;
        break;
      case DT_PLTREL:
        dynamic.plt_is_rel = value == DT_REL;
        break;
      case DT_INIT:
        dynamic.init = value;
        break;
      case DT_FINI:
        dynamic.fini = value;
        break;
      case DT_PREINIT_ARRAY:
        dynamic.preinit_array.address = value;
        break;
      case DT_PREINIT_ARRAYSZ:
        dynamic.preinit_array.bytes = value;
        break;
      case DT_INIT_ARRAY:
        dynamic.init_array.address = value;
        break;
      case DT_INIT_ARRAYSZ:
        dynamic.init_array.bytes = value;
        break;
      case DT_FINI_ARRAY:
        dynamic.fini_array.address = value;
        break;
      case DT_FINI_ARRAYSZ:
        dynamic.fini_array.bytes = value;
        break;
      default:
        break;
    }
  }
  const std::vector<uint8_t> strings =
      ReadAtAddress(dynamic.strings.address, std::min(dynamic.strings.bytes, kMaxStringBytes));
  for (const uint64_t offset : needed) {
    const std::string_view name = TextAt(strings, offset);
    if (!name.empty()) dynamic.needed.emplace_back(name);
  }
  dynamic.soname = std::string(TextAt(strings, soname));
  dynamic.rpath = std::string(TextAt(strings, rpath));
  dynamic.runpath = std::string(TextAt(strings, runpath));
  return dynamic;
}

// The dynamic section does not say how many symbols there are; the hash tables do.
uint64_t ElfFile::CountDynamicSymbols() {
  const ElfDynamic& dynamic = Dynamic();
  if (dynamic.hash != 0) {
    const std::vector<uint8_t> header = ReadAtAddress(dynamic.hash, 8);
    if (header.size() == 8) return LoadFrom<uint32_t>(header.data() + 4);
  }
  if (dynamic.gnu_hash == 0) return 0;
  // Header of four words, Bloom filter of 64-bit words, buckets, chains that end in an odd word.
  const std::vector<uint8_t> table = ReadAtAddress(dynamic.gnu_hash, kMaxSymbolBytes / 6);
  if (table.size() < 16) return 0;
  const uint64_t buckets = LoadFrom<uint32_t>(table.data());
  const uint64_t first = LoadFrom<uint32_t>(table.data() + 4);
  const uint64_t filter_words = LoadFrom<uint32_t>(table.data() + 8);
  const uint64_t buckets_at = 16 + filter_words * 8;
  const uint64_t chains_at = buckets_at + buckets * 4;
  if (chains_at > table.size()) return 0;
  uint64_t last = 0;
  for (uint64_t i = 0; i < buckets; ++i) {
    last = std::max<uint64_t>(last, LoadFrom<uint32_t>(table.data() + buckets_at + i * 4));
  }
  if (last < first) return first;
  while (true) {
    const uint64_t at = chains_at + (last - first) * 4;
    if (at + 4 > table.size()) return 0;
    if ((LoadFrom<uint32_t>(table.data() + at) & 1) != 0) return last + 1;
    ++last;
  }
}

std::vector<uint8_t> ElfFile::ReadSymbolTable(uint32_t table_type, std::vector<uint8_t>* names) {
  for (const ElfSection& section : sections_) {
    if (section.type != table_type || section.link >= sections_.size()) continue;
    if (names != nullptr) *names = ReadSection(sections_[section.link], kMaxStringBytes);
    return ReadSection(section, kMaxSymbolBytes);
  }
  const ElfDynamic& dynamic = Dynamic();
  if (table_type != SHT_DYNSYM || dynamic.symbols == 0) return {};
  const uint64_t bytes = std::min(CountDynamicSymbols() * sizeof(Elf64_Sym), kMaxSymbolBytes);
  if (names != nullptr) {
    *names =
        ReadAtAddress(dynamic.strings.address, std::min(dynamic.strings.bytes, kMaxStringBytes));
  }
  return ReadAtAddress(dynamic.symbols, bytes);
}

bool ElfFile::VisitSymbols(uint32_t table_type,
                           const std::function<void(const ElfSymbol&)>& visit) {
  std::vector<uint8_t> names;
  const std::vector<uint8_t> table = ReadSymbolTable(table_type, &names);
  if (table.empty() || names.empty()) return false;
  for (size_t at = 0; at + sizeof(Elf64_Sym) <= table.size(); at += sizeof(Elf64_Sym)) {
    const auto from = LoadFrom<Elf64_Sym>(table.data() + at);
    ElfSymbol symbol;
    symbol.name = StartOfTextAt(names, from.st_name, kMaxSymbolName);
    symbol.address = from.st_value;
    symbol.size = from.st_size;
    symbol.type = ELF64_ST_TYPE(from.st_info);
    symbol.defined = from.st_shndx != SHN_UNDEF;
    symbol.local = ELF64_ST_BIND(from.st_info) == STB_LOCAL;
    if (!symbol.name.empty() || symbol.type == STT_FILE) visit(symbol);
  }
  return true;
}

std::vector<Elf64_Sym> ElfFile::ReadSymbols(uint32_t table_type) {
  const std::vector<uint8_t> table = ReadSymbolTable(table_type, nullptr);
  std::vector<Elf64_Sym> symbols(table.size() / sizeof(Elf64_Sym));
  if (!symbols.empty()) {
    std::memcpy(symbols.data(), table.data(), symbols.size() * sizeof(Elf64_Sym));
  }
  return symbols;
}

void ElfFile::AppendRelocations(std::span<const uint8_t> bytes, bool is_rel) {
  const size_t entry_bytes = is_rel ? sizeof(Elf64_Rel) : sizeof(Elf64_Rela);
  const size_t count = bytes.size() / entry_bytes;
  const size_t before = relocations_->size();
  relocations_->resize(before + count);
  if (count == 0) return;
  if (!is_rel) {
    std::memcpy(relocations_->data() + before, bytes.data(), count * entry_bytes);
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    const auto from = LoadFrom<Elf64_Rel>(bytes.data() + i * entry_bytes);
    (*relocations_)[before + i] = {from.r_offset, from.r_info, 0};
  }
}

void ElfFile::ReadRelocations() {
  relocations_.emplace();
  uint64_t room = kMaxRelocationBytes;
  const auto add = [&](const std::vector<uint8_t>& bytes, bool is_rel) {
    room -= bytes.size();
    AppendRelocations(bytes, is_rel);
  };
  const ElfDynamic& dynamic = Dynamic();
  if (dynamic.present) {
    const auto read = [&](const DynamicTable& table) {
      return table.address == 0 ? std::vector<uint8_t>{}
                                : ReadAtAddress(table.address, std::min(table.bytes, room));
    };
    const DynamicTable& same_kind = dynamic.plt_is_rel ? dynamic.rel : dynamic.rela;
    add(read(dynamic.rela), false);
    add(read(dynamic.rel), true);
    add(read(Remainder(same_kind, dynamic.plt_relocations)), dynamic.plt_is_rel);
    return;
  }
  // Start-up code of static programs finds them between two symbols of the linker.
  for (const ElfSection& section : sections_) {
    if (section.type != SHT_RELA || (section.flags & SHF_ALLOC) == 0) continue;
    add(ReadSection(section, room), false);
  }
}

const std::vector<Elf64_Rela>& ElfFile::Relocations() {
  if (!relocations_) ReadRelocations();
  return *relocations_;
}

std::vector<uint64_t> ElfFile::PackedRelocations() {
  const DynamicTable& table = Dynamic().relr;
  if (table.address == 0) return {};
  const std::vector<uint8_t> bytes =
      ReadAtAddress(table.address, std::min(table.bytes, kMaxPackedBytes));
  std::vector<uint64_t> words(bytes.size() / sizeof(uint64_t));
  if (!words.empty()) std::memcpy(words.data(), bytes.data(), words.size() * sizeof(uint64_t));
  return words;
}

std::optional<uint64_t> ElfFile::PointerAt(uint64_t address) {
  for (const Elf64_Rela& from : Relocations()) {
    if (from.r_offset == address && ELF64_R_TYPE(from.r_info) == R_X86_64_RELATIVE &&
        from.r_addend != 0) {
      return static_cast<uint64_t>(from.r_addend);
    }
  }
  const std::vector<uint8_t> word = ReadAtAddress(address, 8);
  if (word.size() != 8) return std::nullopt;
  return LoadFrom<uint64_t>(word.data());
}

std::vector<FilePointer> ElfFile::PointersIn(const DynamicTable& table, size_t limit) {
  if (table.address == 0) return {};
  const std::vector<uint8_t> bytes =
      ReadAtAddress(table.address, std::min<uint64_t>(table.bytes, limit * sizeof(uint64_t)));
  std::vector<FilePointer> pointers(bytes.size() / sizeof(uint64_t));
  // What DT_RELR names is moved in place: the file holds the value.
  for (size_t i = 0; i < pointers.size(); ++i) {
    pointers[i] = {PointerKind::kPlain, LoadFrom<uint64_t>(bytes.data() + i * sizeof(uint64_t))};
  }
  std::vector<Elf64_Sym> symbols;
  for (const Elf64_Rela& from : Relocations()) {
    const uint64_t into = from.r_offset - table.address;
    if (from.r_offset < table.address || into % sizeof(uint64_t) != 0 ||
        into / sizeof(uint64_t) >= pointers.size()) {
      continue;
    }
    FilePointer& pointer = pointers[into / sizeof(uint64_t)];
    const auto addend = static_cast<uint64_t>(from.r_addend);
    const uint32_t type = ELF64_R_TYPE(from.r_info);
    if (type == R_X86_64_RELATIVE) {
      if (addend != 0) pointer = {PointerKind::kPlain, addend};  // of REL, it is in place
      continue;
    }
    pointer = {PointerKind::kUnknown, 0};
    if (type != R_X86_64_64) continue;
    if (symbols.empty()) symbols = ReadSymbols(SHT_DYNSYM);
    const uint64_t index = ELF64_R_SYM(from.r_info);
    if (index >= symbols.size() || symbols[index].st_shndx == SHN_UNDEF) continue;
    pointer = {PointerKind::kSymbolic, symbols[index].st_value + addend};
  }
  return pointers;
}

}  // namespace startscope
