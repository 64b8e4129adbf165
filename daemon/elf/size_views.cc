// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/elf/size_views.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace startscope {
namespace {

constexpr size_t kMaxDisagreements = 24;
constexpr size_t kMaxNameInText = 48;
constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kLeastPadding = 64;
constexpr uint64_t kLeastHoleBytes = 1024;
// Of the code in sections, symbols of a compiler's output cover nearly all. The rest is what
// linkers and hand-written assembly leave without sizes.
constexpr uint64_t kLeastCoveredPercent = 90;
constexpr uint64_t kMaxUncoveredBytes = 4096;

struct Range {
  uint64_t begin = 0;
  uint64_t end = 0;
};

Range RangeOf(uint64_t begin, uint64_t size) {
  return {begin, begin + std::min(size, UINT64_MAX - begin)};
}

bool Holds(const Range& outer, const Range& inner) {
  return inner.begin >= outer.begin && inner.end <= outer.end;
}

// Bytes that at least one of them covers. Sorts them.
uint64_t Covered(std::vector<Range>* ranges) {
  std::sort(ranges->begin(), ranges->end(),
            [](const Range& a, const Range& b) { return a.begin < b.begin; });
  uint64_t covered = 0;
  uint64_t end = 0;
  for (const Range& range : *ranges) {
    const uint64_t begin = std::max(range.begin, end);
    if (range.end > begin) covered += range.end - begin;
    end = std::max(end, range.end);
  }
  return covered;
}

void AddTo(uint64_t* sum, uint64_t value) { *sum += std::min(value, UINT64_MAX - *sum); }

// 1,234,567.
std::string Grouped(uint64_t value) {
  const std::string digits = std::to_string(value);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i != 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string Quoted(std::string_view name) {
  return absl::CHexEscape(std::string(name.substr(0, kMaxNameInText)));
}

bool IsLoaded(const ElfSection& section) {
  return (section.flags & SHF_ALLOC) != 0 && section.type != SHT_NULL;
}
// .tbss is a template of what each thread gets: the file's own memory has no room for it.
bool IsThreadZero(const ElfSection& section) {
  return section.type == SHT_NOBITS && (section.flags & SHF_TLS) != 0;
}

uint64_t& SizeFor(uint64_t section_flags, bool in_file, SizeView* view) {
  if ((section_flags & SHF_EXECINSTR) != 0) return view->code;
  if ((section_flags & SHF_WRITE) != 0) return in_file ? view->data : view->zero;
  return view->read_only;
}

uint64_t& SizeFor(const Elf64_Phdr& segment, SizeView* view) {
  if ((segment.p_flags & PF_X) != 0) return view->code;
  return (segment.p_flags & PF_W) != 0 ? view->data : view->read_only;
}

std::string NameOf(const Elf64_Phdr& segment) {
  return absl::StrCat(
      "segment at 0x", absl::Hex(segment.p_vaddr), " (", (segment.p_flags & PF_R) != 0 ? "r" : "-",
      (segment.p_flags & PF_W) != 0 ? "w" : "-", (segment.p_flags & PF_X) != 0 ? "x" : "-", ")");
}

class SizeReader {
 public:
  SizeReader(ElfFile* file, LinkFacts* link) : file_(file), link_(link) {}

  void Read() {
    ReadSegments();
    if (!file_->sections().empty()) ReadSections();
    ReadSymbols();
    ComparePermissions();
    CompareSegmentsToSections();
    CompareFileEnd();
  }

 private:
  void Disagree(std::string text) {
    if (link_->disagreements.size() < kMaxDisagreements) {
      link_->disagreements.push_back(std::move(text));
    }
  }

  void ReadSegments() {
    std::vector<Range> loaded;
    for (const Elf64_Phdr& segment : file_->segments()) {
      if (segment.p_type != PT_LOAD) continue;
      AddTo(&SizeFor(segment, &link_->by_segments), segment.p_filesz);
      if (segment.p_memsz > segment.p_filesz) {
        AddTo(&link_->by_segments.zero, segment.p_memsz - segment.p_filesz);
      }
      Range in_file = RangeOf(segment.p_offset, segment.p_filesz);
      if (in_file.end > link_->file_bytes) {
        Disagree(absl::StrCat(NameOf(segment), ": ends at byte ", Grouped(in_file.end),
                              " of a file of ", Grouped(link_->file_bytes)));
        in_file.end = std::max(in_file.begin, link_->file_bytes);
      }
      loaded.push_back(in_file);
    }
    link_->by_segments.not_loaded =
        link_->file_bytes - std::min(link_->file_bytes, Covered(&loaded));
  }

  void ReadSections() {
    SizeView* const view = &link_->by_sections;
    std::vector<const ElfSection*> by_size;
    for (const ElfSection& section : file_->sections()) {
      if (section.type == SHT_NULL || section.size == 0) continue;
      by_size.push_back(&section);
      const bool in_file = section.type != SHT_NOBITS;
      if (in_file && RangeOf(section.offset, section.size).end > link_->file_bytes) {
        Disagree(absl::StrCat("section ", Quoted(section.name), ": ends at byte ",
                              Grouped(RangeOf(section.offset, section.size).end), " of a file of ",
                              Grouped(link_->file_bytes)));
      }
      if (!IsLoaded(section)) {
        if (in_file) AddTo(&view->not_loaded, section.size);
      } else if (!IsThreadZero(section)) {
        AddTo(&SizeFor(section.flags, in_file, view), section.size);
      }
    }
    std::stable_sort(by_size.begin(), by_size.end(),
                     [](const ElfSection* a, const ElfSection* b) { return a->size > b->size; });
    by_size.resize(std::min(by_size.size(), kMaxListedSections));
    for (const ElfSection* section : by_size) {
      link_->sections.push_back({section->name, section->size});
    }
  }

  // .symtab, or where it was stripped off .dynsym: what is exported.
  void ReadSymbols() {
    const std::vector<Elf64_Sym> table = file_->ReadSymbols(SHT_SYMTAB);
    const bool whole = !table.empty();
    const std::vector<ElfSection>& sections = file_->sections();
    std::vector<Range> code, read_only, data, zero;
    uint64_t beyond = 0;
    const Elf64_Sym* farthest = nullptr;
    const std::vector<Elf64_Sym> exports =
        whole ? std::vector<Elf64_Sym>{} : file_->ReadSymbols(SHT_DYNSYM);
    for (const Elf64_Sym& symbol : whole ? table : exports) {
      const auto type = ELF64_ST_TYPE(symbol.st_info);
      if (symbol.st_size == 0 || symbol.st_shndx == SHN_UNDEF || symbol.st_value == 0) continue;
      if (type != STT_FUNC && type != STT_OBJECT && type != STT_GNU_IFUNC && type != STT_NOTYPE) {
        continue;
      }
      if (symbol.st_shndx >= sections.size()) continue;
      const ElfSection& section = sections[symbol.st_shndx];
      if (!IsLoaded(section)) continue;
      Range range = RangeOf(symbol.st_value, symbol.st_size);
      const Range bounds = RangeOf(section.address, section.size);
      if (!Holds(bounds, range)) {
        ++beyond;
        if (farthest == nullptr || symbol.st_size > farthest->st_size) farthest = &symbol;
        range.begin = std::max(range.begin, bounds.begin);
        range.end = std::min(range.end, bounds.end);
        if (range.end <= range.begin) continue;
      }
      if ((section.flags & SHF_EXECINSTR) != 0) {
        code.push_back(range);
      } else if ((section.flags & SHF_WRITE) == 0) {
        read_only.push_back(range);
      } else {
        (section.type == SHT_NOBITS ? zero : data).push_back(range);
      }
    }
    if (farthest != nullptr) {
      const ElfSection& section = sections[farthest->st_shndx];
      Disagree(absl::StrCat(Grouped(beyond), beyond == 1 ? " symbol" : " symbols",
                            " beyond their section: the largest has ", Grouped(farthest->st_size),
                            " bytes at 0x", absl::Hex(farthest->st_value), ", section ",
                            Quoted(section.name), " ", Grouped(section.size), " bytes at 0x",
                            absl::Hex(section.address)));
    }
    link_->by_symbols.code = Covered(&code);
    link_->by_symbols.read_only = Covered(&read_only);
    link_->by_symbols.data = Covered(&data);
    link_->by_symbols.zero = Covered(&zero);
    if (whole) CompareSymbolsToSections();
  }

  void CompareSymbolsToSections() {
    uint64_t nameable = 0;
    for (const ElfSection& section : file_->sections()) {
      // What the linker makes has no symbols.
      const bool made = section.name.rfind(".plt", 0) == 0 || section.name == ".init" ||
                        section.name == ".fini" || section.name == ".iplt";
      if (IsLoaded(section) && (section.flags & SHF_EXECINSTR) != 0 && !made) {
        AddTo(&nameable, section.size);
      }
    }
    const uint64_t named = link_->by_symbols.code;
    if (nameable <= named || nameable - named <= kMaxUncoveredBytes) return;
    if (named / kLeastCoveredPercent >= nameable / 100) return;
    Disagree(absl::StrCat("symbols cover ", Grouped(named), " of ", Grouped(nameable),
                          " bytes of code in sections (", named / (nameable / 100),
                          " %): the rest has no symbol, or one without a size"));
  }

  // The loaded segment that holds a section's begin.
  const Elf64_Phdr* SegmentOf(const ElfSection& section) const {
    for (const Elf64_Phdr& segment : file_->segments()) {
      if (segment.p_type == PT_LOAD && section.address >= segment.p_vaddr &&
          section.address - segment.p_vaddr < segment.p_memsz) {
        return &segment;
      }
    }
    return nullptr;
  }

  // Sections by address: each inside one segment that has its permissions, and none in another.
  void ComparePermissions() {
    std::vector<const ElfSection*> loaded;
    for (const ElfSection& section : file_->sections()) {
      if (IsLoaded(section) && !IsThreadZero(section) && section.size != 0) {
        loaded.push_back(&section);
      }
    }
    std::stable_sort(loaded.begin(), loaded.end(), [](const ElfSection* a, const ElfSection* b) {
      return a->address < b->address;
    });
    const ElfSection* last = nullptr;
    for (const ElfSection* section : loaded) {
      const Range range = RangeOf(section->address, section->size);
      if (last != nullptr && range.begin < last->address + last->size) {
        const uint64_t shared = std::min(range.end, last->address + last->size) - range.begin;
        Disagree(absl::StrCat("sections ", Quoted(last->name), " (", Grouped(last->size),
                              " bytes) and ", Quoted(section->name), " (", Grouped(section->size),
                              " bytes) share ", Grouped(shared), " bytes"));
      }
      const bool farther = last == nullptr || range.end > RangeOf(last->address, last->size).end;
      if (farther && range.end == section->address + section->size) last = section;
      CompareToSegment(*section, range);
    }
  }

  void CompareToSegment(const ElfSection& section, const Range& range) {
    const Elf64_Phdr* segment = SegmentOf(section);
    const std::string name = absl::StrCat("section ", Quoted(section.name));
    if (segment == nullptr) {
      return Disagree(absl::StrCat(name, ": ", Grouped(section.size),
                                   " bytes that say they are loaded, in no segment"));
    }
    const Range whole = RangeOf(segment->p_vaddr, segment->p_memsz);
    if (range.end > whole.end) {
      return Disagree(absl::StrCat(name, ": ", Grouped(section.size), " bytes, of which its ",
                                   NameOf(*segment), " has ", Grouped(whole.end - range.begin)));
    }
    const bool needs_write = (section.flags & SHF_WRITE) != 0 && (segment->p_flags & PF_W) == 0;
    const bool needs_execute =
        (section.flags & SHF_EXECINSTR) != 0 && (segment->p_flags & PF_X) == 0;
    if (needs_write || needs_execute) {
      Disagree(absl::StrCat(name, ": ", Grouped(section.size), " bytes are ",
                            needs_write ? "writable" : "executable", ", its ", NameOf(*segment),
                            " of ", Grouped(segment->p_memsz), " bytes is not"));
    }
    if (section.type == SHT_NOBITS) return;
    if (section.offset - segment->p_offset != section.address - segment->p_vaddr) {
      Disagree(absl::StrCat(name, ": at byte ", Grouped(section.offset),
                            " of the file, where its segment has byte ",
                            Grouped(segment->p_offset + (section.address - segment->p_vaddr))));
    }
  }

  struct Piece {
    Range range;
    uint64_t alignment = 1;
    bool is_header = false;
  };

  // What a segment has of the file beside its loaded sections. Some linkers put a table that is not
  // loaded between sections that are.
  std::vector<Piece> Headers(const Elf64_Phdr& segment) const {
    const Elf64_Ehdr& header = file_->header();
    std::vector<Piece> pieces;
    const Range in_file = RangeOf(segment.p_offset, segment.p_filesz);
    const auto add = [&](uint64_t offset, uint64_t size) {
      const Range range = RangeOf(offset, size);
      if (size == 0 || !Holds(in_file, range)) return;
      pieces.push_back({RangeOf(segment.p_vaddr + (offset - segment.p_offset), size), 8, true});
    };
    add(0, sizeof(Elf64_Ehdr));
    add(header.e_phoff, uint64_t{header.e_phnum} * header.e_phentsize);
    add(header.e_shoff, uint64_t{header.e_shnum} * header.e_shentsize);
    for (const ElfSection& section : file_->sections()) {
      if ((section.flags & SHF_ALLOC) == 0 && section.type != SHT_NULL &&
          section.type != SHT_NOBITS) {
        add(section.offset, section.size);
      }
    }
    return pieces;
  }

  void CompareSegmentsToSections() {
    if (file_->sections().empty()) return;
    for (const Elf64_Phdr& segment : file_->segments()) {
      if (segment.p_type != PT_LOAD || segment.p_filesz == 0) continue;
      const Range in_file = RangeOf(segment.p_vaddr, segment.p_filesz);
      std::vector<Piece> pieces = Headers(segment);
      for (const ElfSection& section : file_->sections()) {
        if (!IsLoaded(section) || section.type == SHT_NOBITS || section.size == 0) continue;
        const Range range = RangeOf(section.address, section.size);
        if (Holds(in_file, range)) pieces.push_back({range, section.alignment, false});
      }
      CompareSegment(segment, in_file, std::move(pieces));
    }
  }

  void CompareSegment(const Elf64_Phdr& segment, const Range& in_file, std::vector<Piece> pieces) {
    std::stable_sort(pieces.begin(), pieces.end(),
                     [](const Piece& a, const Piece& b) { return a.range.begin < b.range.begin; });
    uint64_t at = in_file.begin;
    bool after_header = false;
    uint64_t stated = 0;
    uint64_t explained = 0;
    uint64_t unexplained = 0;
    for (const Piece& piece : pieces) {
      const uint64_t gap = piece.range.begin > at ? piece.range.begin - at : 0;
      const uint64_t padding =
          after_header ? kPageBytes : std::max<uint64_t>(piece.alignment, kLeastPadding);
      (gap < padding ? explained : unexplained) += gap;
      after_header = piece.is_header;
      const uint64_t begin = std::max(piece.range.begin, at);
      const uint64_t size = piece.range.end > begin ? piece.range.end - begin : 0;
      (piece.is_header ? explained : stated) += size;
      at = std::max(at, piece.range.end);
    }
    const uint64_t tail = in_file.end > at ? in_file.end - at : 0;
    const bool page_end = (segment.p_offset + segment.p_filesz) % kPageBytes == 0;
    (tail < (page_end ? kPageBytes : kLeastPadding) ? explained : unexplained) += tail;
    if (unexplained < kLeastHoleBytes) return;
    Disagree(absl::StrCat(NameOf(segment), ": ", Grouped(segment.p_filesz),
                          " bytes of the file, sections state ", Grouped(stated),
                          ", headers and alignment explain ", Grouped(explained), ", ",
                          Grouped(unexplained), " are in no section"));
  }

  void CompareFileEnd() {
    const Elf64_Ehdr& header = file_->header();
    uint64_t end = sizeof(Elf64_Ehdr);
    const auto reach = [&](uint64_t offset, uint64_t size) {
      end = std::max(end, RangeOf(offset, size).end);
    };
    reach(header.e_phoff, uint64_t{header.e_phnum} * header.e_phentsize);
    reach(header.e_shoff, uint64_t{header.e_shnum} * header.e_shentsize);
    for (const Elf64_Phdr& segment : file_->segments()) reach(segment.p_offset, segment.p_filesz);
    for (const ElfSection& section : file_->sections()) {
      if (section.type != SHT_NOBITS) reach(section.offset, section.size);
    }
    if (end >= link_->file_bytes || link_->file_bytes - end < kPageBytes) return;
    Disagree(absl::StrCat("the file has ", Grouped(link_->file_bytes), " bytes, its tables ",
                          Grouped(end), ": ", Grouped(link_->file_bytes - end),
                          " behind them are in no segment and no section"));
  }

  ElfFile* const file_;
  LinkFacts* const link_;
};

}  // namespace

void ReadSizes(ElfFile* file, LinkFacts* link) { SizeReader(file, link).Read(); }

}  // namespace startscope
