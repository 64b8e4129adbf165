// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/elf/go_functions.h"

#include <cstring>
#include <vector>

namespace startscope {
namespace {

constexpr uint64_t kMaxTableBytes = 48u << 20;
constexpr uint64_t kMaxRelocationBytes = 16u << 20;
constexpr uint64_t kMaxFunctions = 1u << 20;

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
    return {text, strnlen(text, room < 256 ? room : 256)};
  }
  [[nodiscard]] uint64_t size() const { return bytes_.size(); }

 private:
  const std::vector<uint8_t> bytes_;
};

// The addend of the relative relocation of the word at `address`, 0 if there is none: in a
// position-independent executable the table's text address is such a word.
uint64_t RelocatedWord(ElfFile* file, uint64_t address) {
  const ElfSection* section = file->FindSection(".rela.dyn");
  if (section == nullptr) section = file->FindSection(".rela");
  if (section == nullptr) return 0;
  const std::vector<uint8_t> bytes = file->ReadSection(*section, kMaxRelocationBytes);
  for (size_t at = 0; at + sizeof(Elf64_Rela) <= bytes.size(); at += sizeof(Elf64_Rela)) {
    Elf64_Rela relocation;
    std::memcpy(&relocation, bytes.data() + at, sizeof(relocation));
    if (relocation.r_offset == address) return static_cast<uint64_t>(relocation.r_addend);
  }
  return 0;
}

}  // namespace

bool VisitGoFunctions(ElfFile* file,
                      const std::function<void(std::string_view, uint64_t)>& visit) {
  const ElfSection* section = file->FindSection(".gopclntab");
  if (section == nullptr) section = file->FindSection(".data.rel.ro.gopclntab");
  if (section == nullptr) return false;
  const Table table(file->ReadSection(*section, kMaxTableBytes));
  if (table.size() < 64 || table.Get<uint8_t>(7) != 8) return false;
  const auto magic = table.Get<uint32_t>(0);
  const auto functions = table.Get<uint64_t>(8);
  if (functions > kMaxFunctions) return false;

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
  if (magic != kMagic118 && magic != kMagic120) return false;
  auto text = table.Get<uint64_t>(24);
  if (text == 0) text = RelocatedWord(file, section->address + 24);
  const auto names = table.Get<uint64_t>(32);
  const auto entries = table.Get<uint64_t>(64);
  for (uint64_t i = 0; i < functions; ++i) {
    const auto offset = table.Get<uint32_t>(entries + i * 8);
    const auto at = entries + table.Get<uint32_t>(entries + i * 8 + 4);
    visit(table.Text(names + table.Get<uint32_t>(at + 4)), text + offset);
  }
  return true;
}

}  // namespace startscope
