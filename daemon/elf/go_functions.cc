// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/elf/go_functions.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "absl/strings/str_cat.h"

namespace startscope {
namespace {

constexpr uint64_t kMaxTableBytes = 48u << 20;
constexpr uint32_t kNoteGoBuildId = 4;
constexpr uint64_t kMaxFunctions = 1u << 20;

constexpr uint64_t kMaxNameBytes = 256;

// First word of the table (cmd/link and runtime/symtab.go of the respective release).
constexpr uint32_t kMagic12 = 0xfffffffb;
constexpr uint32_t kMagic116 = 0xfffffffa;
constexpr uint32_t kMagic118 = 0xfffffff0;
constexpr uint32_t kMagic120 = 0xfffffff1;

class Table {
 public:
  explicit Table(std::vector<uint8_t> bytes) : bytes_(std::move(bytes)) {}

  template <typename T>
  [[nodiscard]] T Get(uint64_t offset) const {
    T value{};
    if (offset <= bytes_.size() && sizeof(T) <= bytes_.size() - offset) {
      std::memcpy(&value, bytes_.data() + offset, sizeof(T));
    }
    return value;
  }
  [[nodiscard]] std::string_view Text(uint64_t offset) const {
    if (offset >= bytes_.size()) return {};
    const char* text = reinterpret_cast<const char*>(bytes_.data()) + offset;
    const size_t room = bytes_.size() - offset;
    return {text, strnlen(text, std::min<size_t>(room, kMaxNameBytes))};
  }
  [[nodiscard]] uint64_t size() const { return bytes_.size(); }

 private:
  const std::vector<uint8_t> bytes_;
};

bool StartsTable(std::span<const uint8_t> bytes) {
  if (bytes.size() < 80 || bytes[4] != 0 || bytes[5] != 0 || bytes[6] != 1 || bytes[7] != 8) {
    return false;  // two zeros, x86-64's instruction quantum, pointer size
  }
  uint32_t magic = 0;
  std::memcpy(&magic, bytes.data(), sizeof(magic));
  uint64_t functions = 0;
  std::memcpy(&functions, bytes.data() + 8, sizeof(functions));
  const bool known =
      magic == kMagic12 || magic == kMagic116 || magic == kMagic118 || magic == kMagic120;
  return known && functions != 0 && functions <= kMaxFunctions;
}

struct FoundTable {
  std::vector<uint8_t> bytes;
  uint64_t address = 0;
};

FoundTable FindTable(ElfFile* file) {
  for (const char* name : {".gopclntab", ".data.rel.ro.gopclntab"}) {
    const ElfSection* section = file->FindSection(name);
    if (section == nullptr) continue;
    std::vector<uint8_t> bytes = file->ReadSection(*section, kMaxTableBytes);
    if (StartsTable(bytes)) return {std::move(bytes), section->address};
  }
  // An external linker merges the table into its read-only data, and sections may be gone. A file
  // may claim many segments of the same bytes: together they are read once.
  uint64_t room = kMaxTableBytes;
  for (const Elf64_Phdr& segment : file->segments()) {
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) != 0) continue;
    std::vector<uint8_t> bytes =
        file->ReadAtAddress(segment.p_vaddr, std::min<uint64_t>(segment.p_filesz, room));
    room -= bytes.size();
    for (size_t at = 0; at + 80 <= bytes.size(); at += 8) {
      if (!StartsTable(std::span(bytes).subspan(at))) continue;
      bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
      return {std::move(bytes), segment.p_vaddr + at};
    }
  }
  return {};
}

// Functions are listed as offsets from the start of Go's code. Where the table does not say where
// that is, the entry point does, when it is Go's own.
uint64_t TextFromEntry(ElfFile* file, const Table& table, uint64_t functions, uint64_t names,
                       uint64_t entries) {
  for (uint64_t i = 0; i < functions; ++i) {
    const auto at = entries + table.Get<uint32_t>(entries + i * 8 + 4);
    if (table.Text(names + table.Get<uint32_t>(at + 4)) != "_rt0_amd64_linux") continue;
    return file->header().e_entry - table.Get<uint32_t>(entries + i * 8);
  }
  return 0;
}

}  // namespace

std::string GoEvidence(ElfFile* file) {
  constexpr uint64_t kBuildInfoReach = 256;
  constexpr std::string_view kBuildInfo = "\xff Go buildinf:";
  for (const char* name : {".go.buildinfo", ".gopclntab", ".data.rel.ro.gopclntab"}) {
    if (file->FindSection(name) != nullptr) return absl::StrCat("section ", name);
  }
  if (file->HasNote("Go", kNoteGoBuildId)) return "note of its linker";
  // Without section headers: its linker puts the build information first in the data segment.
  for (const Elf64_Phdr& segment : file->segments()) {
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) == 0) continue;
    const std::vector<uint8_t> bytes = file->ReadAtAddress(segment.p_vaddr, kBuildInfoReach);
    if (std::search(bytes.begin(), bytes.end(), kBuildInfo.begin(), kBuildInfo.end(),
                    [](uint8_t byte, char text) { return byte == static_cast<uint8_t>(text); }) !=
        bytes.end()) {
      return "build information in its data";
    }
  }
  return {};
}

bool VisitGoFunctions(ElfFile* file, const std::function<void(std::string_view, uint64_t)>& visit) {
  if (GoEvidence(file).empty()) return false;
  FoundTable found = FindTable(file);
  const Table table(std::move(found.bytes));
  if (table.size() == 0) return false;
  const auto magic = table.Get<uint32_t>(0);
  // Each function has an entry of at least eight bytes: more than fit are not there.
  const uint64_t functions = std::min<uint64_t>(table.Get<uint64_t>(8), table.size() / 8);

  if (magic == kMagic12) {
    for (uint64_t i = 0; i < functions; ++i) {
      const auto address = table.Get<uint64_t>(16 + i * 16);
      const auto at = table.Get<uint64_t>(16 + i * 16 + 8);
      visit(table.Text(table.Get<uint32_t>(at + 8)), address);
    }
    return true;
  }
  if (magic == kMagic116) {
    const auto names = table.Get<uint64_t>(24);
    const auto entries = table.Get<uint64_t>(56);
    for (uint64_t i = 0; i < functions; ++i) {
      const auto address = table.Get<uint64_t>(entries + i * 16);
      const auto at = entries + table.Get<uint64_t>(entries + i * 16 + 8);
      visit(table.Text(names + table.Get<uint32_t>(at + 8)), address);
    }
    return true;
  }
  const auto names = table.Get<uint64_t>(32);
  const auto entries = table.Get<uint64_t>(64);
  auto text = file->PointerAt(found.address + 24).value_or(0);
  if (text == 0) text = TextFromEntry(file, table, functions, names, entries);
  if (text == 0) return false;
  for (uint64_t i = 0; i < functions; ++i) {
    const auto offset = table.Get<uint32_t>(entries + i * 8);
    const auto at = entries + table.Get<uint32_t>(entries + i * 8 + 4);
    visit(table.Text(names + table.Get<uint32_t>(at + 4)), text + offset);
  }
  return true;
}

}  // namespace startscope
