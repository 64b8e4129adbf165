// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/elf/debug_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

namespace startscope {
namespace {

constexpr uint64_t kMaxLinkBytes = 4096;
constexpr uint64_t kMaxChecksummedBytes = 64u << 20;

void ReadDebugLink(ElfFile* image, DebugReference* reference) {
  const ElfSection* section = image->FindSection(".gnu_debuglink");
  if (section == nullptr) return;
  const std::vector<uint8_t> bytes = image->ReadSection(*section, kMaxLinkBytes);
  if (bytes.size() < 8) return;
  const char* text = reinterpret_cast<const char*>(bytes.data());
  const std::string name(text, strnlen(text, bytes.size() - 4));
  // The name comes from an untrusted file and must not lead elsewhere.
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) return;
  reference->link_name = name;
  std::memcpy(&reference->link_checksum, bytes.data() + bytes.size() - 4,
              sizeof(reference->link_checksum));
}

constexpr std::array<uint32_t, 256> ChecksumTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < table.size(); ++byte) {
    uint32_t state = byte;
    for (int bit = 0; bit < 8; ++bit) state = (state >> 1) ^ ((state & 1) != 0 ? 0xedb88320u : 0);
    table[byte] = state;
  }
  return table;
}

// The CRC-32 of IEEE 802.3, which .gnu_debuglink carries.
std::optional<uint32_t> Checksum(ByteSource* source) {
  if (source->size() > kMaxChecksummedBytes) return std::nullopt;
  static constexpr std::array<uint32_t, 256> kTable = ChecksumTable();
  uint32_t state = 0xffffffff;
  std::array<uint8_t, 1u << 16> chunk;
  for (uint64_t at = 0; at < source->size(); at += chunk.size()) {
    const std::span<uint8_t> part(chunk.data(),
                                  std::min<uint64_t>(chunk.size(), source->size() - at));
    if (!source->Read(at, part)) return std::nullopt;
    for (const uint8_t byte : part) state = (state >> 8) ^ kTable[(state ^ byte) & 0xff];
  }
  return ~state;
}

bool IsMeant(const DebugReference& reference, ByteSource* debug) {
  ElfFile file(debug);
  if (!file.error().empty() || !HasSymbolTable(file)) return false;
  if (!reference.build_id.empty()) return file.ReadBuildId() == reference.build_id;
  return !reference.link_name.empty() && Checksum(debug) == reference.link_checksum;
}

}  // namespace

bool HasSymbolTable(const ElfFile& file) {
  return std::any_of(file.sections().begin(), file.sections().end(),
                     [](const ElfSection& section) { return section.type == SHT_SYMTAB; });
}

DebugReference ReadDebugReference(ElfFile* image) {
  DebugReference reference;
  reference.build_id = image->ReadBuildId();
  ReadDebugLink(image, &reference);
  return reference;
}

std::optional<DebugReference> WantedDebugFile(ByteSource* image) {
  ElfFile file(image);
  if (!file.error().empty()) return std::nullopt;
  if (HasSymbolTable(file)) return std::nullopt;
  DebugReference reference = ReadDebugReference(&file);
  if (reference.build_id.empty() && reference.link_name.empty()) return std::nullopt;
  return reference;
}

std::vector<ByteSource*> MatchDebugFiles(ElfFile* image,
                                         const std::vector<ByteSource*>& candidates) {
  std::vector<ByteSource*> matching;
  if (candidates.empty()) return matching;
  const DebugReference reference = ReadDebugReference(image);
  for (ByteSource* const candidate : candidates) {
    if (IsMeant(reference, candidate)) matching.push_back(candidate);
  }
  return matching;
}

}  // namespace startscope
