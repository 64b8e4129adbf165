// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Values and names out of bytes that are not trusted.

#ifndef STARTSCOPE_DAEMON_ELF_BOUNDED_TEXT_H_
#define STARTSCOPE_DAEMON_ELF_BOUNDED_TEXT_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace startscope {

inline constexpr uint64_t kMaxElfName = 4096;

// The caller has checked that all of it is there.
template <typename T>
T LoadFrom(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

// The first `limit` bytes of the NUL-terminated text at `offset` of a table, if it ends inside it.
inline std::string_view StartOfTextAt(const std::vector<uint8_t>& table, uint64_t offset,
                                      uint64_t limit) {
  if (offset >= table.size()) return {};
  const char* text = reinterpret_cast<const char*>(table.data()) + offset;
  const size_t room = std::min<uint64_t>(table.size() - offset, limit);
  const size_t length = strnlen(text, room);
  return length == room && room < limit ? std::string_view{} : std::string_view(text, length);
}

// The same, all of it; nothing when it is too long for a name.
inline std::string_view TextAt(const std::vector<uint8_t>& table, uint64_t offset) {
  const std::string_view text = StartOfTextAt(table, offset, kMaxElfName);
  return text.size() == kMaxElfName ? std::string_view{} : text;
}

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_BOUNDED_TEXT_H_
