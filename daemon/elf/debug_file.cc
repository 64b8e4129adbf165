// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/elf/debug_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cstring>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"

namespace startscope {
namespace {

constexpr uint64_t kMaxLinkBytes = 4096;
constexpr uint64_t kMaxChecksummedBytes = 64u << 20;

struct DebugLink {
  std::string name;
  uint32_t checksum = 0;
};

std::optional<DebugLink> ReadDebugLink(ElfFile* image) {
  const ElfSection* section = image->FindSection(".gnu_debuglink");
  if (section == nullptr) return std::nullopt;
  const std::vector<uint8_t> bytes = image->ReadSection(*section, kMaxLinkBytes);
  if (bytes.size() < 8) return std::nullopt;
  const char* text = reinterpret_cast<const char*>(bytes.data());
  DebugLink link;
  link.name.assign(text, strnlen(text, bytes.size() - 4));
  // The name comes from an untrusted file and must not lead elsewhere.
  if (link.name.empty() || link.name == "." || link.name == ".." ||
      link.name.find('/') != std::string::npos) {
    return std::nullopt;
  }
  std::memcpy(&link.checksum, bytes.data() + bytes.size() - 4, sizeof(link.checksum));
  return link;
}

// The CRC-32 of IEEE 802.3, which .gnu_debuglink carries.
std::optional<uint32_t> Checksum(ByteSource* source) {
  if (source->size() > kMaxChecksummedBytes) return std::nullopt;
  uint32_t state = 0xffffffff;
  std::array<uint8_t, 1u << 16> chunk;
  for (uint64_t at = 0; at < source->size(); at += chunk.size()) {
    const std::span<uint8_t> part(chunk.data(),
                                  std::min<uint64_t>(chunk.size(), source->size() - at));
    if (!source->Read(at, part)) return std::nullopt;
    for (const uint8_t byte : part) {
      state ^= byte;
      for (int bit = 0; bit < 8; ++bit) state = (state >> 1) ^ ((state & 1) != 0 ? 0xedb88320u : 0);
    }
  }
  return ~state;
}

// `checksum` counts only where there is no build-id to go by.
UniqueFd OpenIfMatching(const std::string& path, const std::string& build_id, uint32_t checksum) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!fd.valid() || fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  FdByteSource source(fd.get(), static_cast<uint64_t>(status.st_size));
  if (build_id.empty()) {
    if (Checksum(&source) != checksum) return {};
    return fd;
  }
  ElfFile debug(&source);
  if (!debug.error().empty() || debug.ReadBuildId() != build_id) return {};
  return fd;
}

}  // namespace

UniqueFd OpenDebugFile(ElfFile* image, const std::string& build_id, const std::string& debug_root,
                       const std::string& path) {
  if (debug_root.empty()) return {};
  if (build_id.size() > 2) {
    UniqueFd fd = OpenIfMatching(absl::StrCat(debug_root, "/.build-id/", build_id.substr(0, 2), "/",
                                              build_id.substr(2), ".debug"),
                                 build_id, 0);
    if (fd.valid()) return fd;
  }
  const std::optional<DebugLink> link = ReadDebugLink(image);
  const bool absolute = !path.empty() && path[0] == '/' && path.find("/../") == std::string::npos;
  if (!link || !absolute) return {};
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  return OpenIfMatching(absl::StrCat(debug_root, folder, link->name), build_id, link->checksum);
}

}  // namespace startscope
