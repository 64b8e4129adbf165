// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/elf/elf_file.h"

#include <algorithm>
#include <cstring>

#include "daemon/elf/bounded_text.h"

namespace startscope {
namespace {

constexpr uint32_t kMaxSegments = 128;
constexpr uint32_t kMaxSections = 4096;
constexpr uint64_t kMaxSectionNames = 1u << 20;
constexpr uint64_t kMaxNoteBytes = 64u << 10;
constexpr uint64_t kMaxFunctionBytes = 64u << 10;
constexpr uint64_t kUnknownFunctionBytes = 4u << 10;

uint64_t AlignUp4(uint64_t value) { return (value + 3) & ~uint64_t{3}; }

}  // namespace

ElfFile::ElfFile(ByteSource* source) : source_(source) {
  if (!ReadHeader()) return;
  ReadSegments();
  ReadSections();
}

bool ElfFile::ReadHeader() {
  uint8_t ident[EI_NIDENT] = {};
  if (!source_->Read(0, ident) || std::memcmp(ident, ELFMAG, SELFMAG) != 0) {
    error_ = "not an ELF file";
    return false;
  }
  is_elf_ = true;
  is_64_bit_ = ident[EI_CLASS] == ELFCLASS64;
  if (ident[EI_DATA] != ELFDATA2LSB || (!is_64_bit_ && ident[EI_CLASS] != ELFCLASS32)) {
    error_ = "ELF of an unsupported class or byte order";
    return false;
  }
  if (!is_64_bit_) return ReadNarrowHeader();
  if (!source_->Read(0, {reinterpret_cast<uint8_t*>(&header_), sizeof(header_)})) {
    error_ = "ELF header cut off";
    return false;
  }
  return true;
}

// A 32-bit file's sections are left alone: its header is kept without them.
bool ElfFile::ReadNarrowHeader() {
  Elf32_Ehdr narrow{};
  if (!source_->Read(0, {reinterpret_cast<uint8_t*>(&narrow), sizeof(narrow)})) {
    error_ = "ELF header cut off";
    return false;
  }
  header_.e_type = narrow.e_type;
  header_.e_machine = narrow.e_machine;
  header_.e_entry = narrow.e_entry;
  header_.e_phoff = narrow.e_phoff;
  header_.e_phentsize = narrow.e_phentsize;
  header_.e_phnum = narrow.e_phnum;
  return true;
}

void ElfFile::ReadSegments() {
  if (header_.e_phnum == 0) return;
  const size_t entry_bytes = is_64_bit_ ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
  if (header_.e_phentsize != entry_bytes || header_.e_phnum > kMaxSegments) {
    error_ = "ELF program headers of an impossible size or number";
    return;
  }
  std::vector<uint8_t> read(header_.e_phnum * entry_bytes);
  if (!source_->Read(header_.e_phoff, read)) {
    error_ = "ELF program headers cut off";
    return;
  }
  for (size_t at = 0; at < read.size(); at += entry_bytes) {
    if (is_64_bit_) {
      segments_.push_back(LoadFrom<Elf64_Phdr>(read.data() + at));
      continue;
    }
    const auto from = LoadFrom<Elf32_Phdr>(read.data() + at);
    segments_.push_back({from.p_type, from.p_flags, from.p_offset, from.p_vaddr, from.p_paddr,
                         from.p_filesz, from.p_memsz, from.p_align});
  }
}

void ElfFile::ReadSections() {
  if (header_.e_shnum == 0 || header_.e_shoff == 0) return;
  if (header_.e_shentsize != sizeof(Elf64_Shdr) || header_.e_shnum > kMaxSections) return;
  std::vector<Elf64_Shdr> read(header_.e_shnum);
  const size_t bytes = read.size() * sizeof(Elf64_Shdr);
  if (!source_->Read(header_.e_shoff, {reinterpret_cast<uint8_t*>(read.data()), bytes})) return;
  std::vector<uint8_t> names;
  if (header_.e_shstrndx < read.size()) {
    const Elf64_Shdr& table = read[header_.e_shstrndx];
    if (table.sh_size <= kMaxSectionNames) names = ReadAt(table.sh_offset, table.sh_size);
  }
  for (const Elf64_Shdr& from : read) {
    ElfSection section;
    section.name = std::string(TextAt(names, from.sh_name));
    section.type = from.sh_type;
    section.flags = from.sh_flags;
    section.address = from.sh_addr;
    section.offset = from.sh_offset;
    section.size = from.sh_size;
    section.link = from.sh_link;
    section.entry_size = from.sh_entsize;
    section.alignment = from.sh_addralign;
    sections_.push_back(std::move(section));
  }
}

const ElfSection* ElfFile::FindSection(std::string_view name) const {
  for (const ElfSection& section : sections_) {
    if (section.name == name) return &section;
  }
  return nullptr;
}

const Elf64_Phdr* ElfFile::FindSegment(uint32_t type) const {
  for (const Elf64_Phdr& segment : segments_) {
    if (segment.p_type == type) return &segment;
  }
  return nullptr;
}

std::vector<uint8_t> ElfFile::ReadAt(uint64_t offset, uint64_t limit) {
  if (offset >= source_->size()) return {};
  std::vector<uint8_t> bytes(std::min(limit, source_->size() - offset));
  if (!source_->Read(offset, bytes)) return {};
  return bytes;
}

std::vector<uint8_t> ElfFile::ReadAtAddress(uint64_t address, uint64_t limit) {
  for (const Elf64_Phdr& segment : segments_) {
    if (segment.p_type != PT_LOAD || address < segment.p_vaddr) continue;
    const uint64_t into = address - segment.p_vaddr;
    if (into >= segment.p_filesz) continue;
    if (segment.p_offset > UINT64_MAX - into) continue;
    return ReadAt(segment.p_offset + into, std::min(limit, segment.p_filesz - into));
  }
  return {};
}

std::vector<uint8_t> ElfFile::ReadSection(const ElfSection& section, uint64_t limit) {
  if (section.type == SHT_NOBITS || section.size > limit) return {};
  std::vector<uint8_t> bytes = ReadAt(section.offset, section.size);
  if (bytes.size() != section.size) return {};
  return bytes;
}

std::optional<uint64_t> ElfFile::CodeOffset(uint64_t address) const {
  for (const Elf64_Phdr& segment : segments_) {
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    if (address < segment.p_vaddr || address - segment.p_vaddr >= segment.p_filesz) continue;
    const uint64_t into = address - segment.p_vaddr;
    if (segment.p_offset > UINT64_MAX - into) return std::nullopt;
    const uint64_t offset = segment.p_offset + into;
    if (offset >= source_->size()) return std::nullopt;
    return offset;
  }
  return std::nullopt;
}

void ElfFile::VisitNotes(
    const std::function<bool(std::string_view, uint32_t, std::span<const uint8_t>)>& visit) {
  for (const Elf64_Phdr& segment : segments_) {
    if (segment.p_type != PT_NOTE) continue;
    const std::vector<uint8_t> bytes =
        ReadAt(segment.p_offset, std::min<uint64_t>(segment.p_filesz, kMaxNoteBytes));
    uint64_t at = 0;
    while (at + sizeof(Elf64_Nhdr) <= bytes.size()) {
      const auto note = LoadFrom<Elf64_Nhdr>(bytes.data() + at);
      const uint64_t name_at = at + sizeof(Elf64_Nhdr);
      const uint64_t content_at = name_at + AlignUp4(note.n_namesz);
      const uint64_t end = content_at + AlignUp4(note.n_descsz);
      if (end > bytes.size() + 3 || content_at + note.n_descsz > bytes.size()) break;
      const char* name = reinterpret_cast<const char*>(bytes.data() + name_at);
      const std::string_view owner(name, strnlen(name, note.n_namesz));
      if (visit(owner, note.n_type, {bytes.data() + content_at, note.n_descsz})) return;
      at = end;
    }
  }
}

std::string ElfFile::ReadBuildId() {
  std::string id;
  VisitNotes([&](std::string_view owner, uint32_t type, std::span<const uint8_t> content) {
    if (owner != "GNU" || type != NT_GNU_BUILD_ID || content.size() > 64) return false;
    constexpr char kDigits[] = "0123456789abcdef";
    for (const uint8_t byte : content) {
      id += kDigits[byte >> 4];
      id += kDigits[byte & 15];
    }
    return true;
  });
  return id;
}

bool ElfFile::HasNote(std::string_view owner, uint32_t type) {
  bool found = false;
  VisitNotes([&](std::string_view name, uint32_t kind, std::span<const uint8_t>) {
    found = name == owner && kind == type;
    return found;
  });
  return found;
}

const std::vector<uint64_t>& ElfFile::FunctionStarts() {
  if (!function_starts_) ReadFunctionStarts();
  return *function_starts_;
}

AddressRange ElfFile::FunctionAround(uint64_t address) {
  const std::vector<uint64_t>& starts = FunctionStarts();
  const auto next = std::upper_bound(starts.begin(), starts.end(), address);
  AddressRange range = {address, address};
  if (next != starts.begin() && address - *std::prev(next) < kMaxFunctionBytes) {
    range.begin = *std::prev(next);
  }
  uint64_t limit = starts.empty() ? kUnknownFunctionBytes : kMaxFunctionBytes;
  limit = std::min(limit, UINT64_MAX - range.begin);
  range.end = range.begin + limit;
  if (next != starts.end()) range.end = std::min(range.end, *next);
  return range;
}

std::optional<AddressRange> ElfFile::DescribedFunctionBefore(uint64_t address) {
  const std::vector<uint64_t>& starts = FunctionStarts();
  const auto next = std::upper_bound(starts.begin(), starts.end(), address);
  if (next == starts.begin()) return std::nullopt;
  const uint64_t begin = *std::prev(next);
  const uint64_t frame = function_frames_[static_cast<size_t>(next - starts.begin()) - 1];
  // Length, distance to what frames share, begin as pcrel sdata4, length as udata4: again what
  // every linker for x86-64 writes. Another encoding does not give the begin that the table has.
  constexpr uint64_t kBeginAt = 8;
  const std::vector<uint8_t> bytes = ReadAtAddress(frame, 16);
  if (bytes.size() < 16 || LoadFrom<uint32_t>(bytes.data()) == UINT32_MAX) return std::nullopt;
  const auto relative = LoadFrom<int32_t>(bytes.data() + kBeginAt);
  if (frame + kBeginAt + static_cast<uint64_t>(static_cast<int64_t>(relative)) != begin) {
    return std::nullopt;
  }
  const uint64_t size = LoadFrom<uint32_t>(bytes.data() + kBeginAt + 4);
  return AddressRange{begin, begin + std::min(size, UINT64_MAX - begin)};
}

void ElfFile::ReadFunctionStarts() {
  constexpr uint64_t kMaxTableBytes = 16u << 20;
  std::vector<uint64_t>& starts = function_starts_.emplace();
  const Elf64_Phdr* segment = FindSegment(PT_GNU_EH_FRAME);
  if (segment == nullptr) return;
  const std::vector<uint8_t> bytes =
      ReadAt(segment->p_offset, std::min<uint64_t>(segment->p_filesz, kMaxTableBytes));
  // Version 1; pointer as pcrel sdata4; count as udata4; table as datarel sdata4: what every linker
  // for x86-64 writes (LSB, "Exception Frame Header").
  constexpr uint8_t kExpected[4] = {1, 0x1b, 0x03, 0x3b};
  if (bytes.size() < 12 || std::memcmp(bytes.data(), kExpected, 4) != 0) return;
  const uint64_t count =
      std::min<uint64_t>(LoadFrom<uint32_t>(bytes.data() + 8), (bytes.size() - 12) / 8);
  const auto address_at = [&](uint64_t at) {
    const auto relative = LoadFrom<int32_t>(bytes.data() + at);
    return segment->p_vaddr + static_cast<uint64_t>(static_cast<int64_t>(relative));
  };
  std::vector<std::pair<uint64_t, uint64_t>> entries;
  entries.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    entries.emplace_back(address_at(12 + i * 8), address_at(16 + i * 8));
  }
  std::sort(entries.begin(), entries.end());
  for (const auto& [start, frame] : entries) {
    starts.push_back(start);
    function_frames_.push_back(frame);
  }
}

}  // namespace startscope
