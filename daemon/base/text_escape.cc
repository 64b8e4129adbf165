// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/base/text_escape.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace startscope {
namespace {

// Length of the well-formed UTF-8 sequence at `at` (Unicode, table 3-7); 0 when there is none.
size_t SequenceLength(const std::string& bytes, size_t at) {
  const auto byte = [&](size_t i) {
    return i < bytes.size() ? static_cast<uint8_t>(bytes[i]) : uint8_t{0};
  };
  const auto continues = [&](size_t i, uint8_t low = 0x80, uint8_t high = 0xbf) {
    return byte(i) >= low && byte(i) <= high;
  };
  const uint8_t first = byte(at);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return continues(at + 1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const uint8_t low = first == 0xe0 ? 0xa0 : 0x80;
    const uint8_t high = first == 0xed ? 0x9f : 0xbf;
    return continues(at + 1, low, high) && continues(at + 2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const uint8_t low = first == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = first == 0xf4 ? 0x8f : 0xbf;
    return continues(at + 1, low, high) && continues(at + 2) && continues(at + 3) ? 4 : 0;
  }
  return 0;
}

// ASCII without a backslash: most text is, and stays as it is.
bool IsPlain(const std::string& bytes) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  constexpr uint64_t kHighBits = kOnes << 7;
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  for (uint64_t word = 0; end - at >= static_cast<std::ptrdiff_t>(sizeof(word)); at += sizeof(word)) {
    std::memcpy(&word, at, sizeof(word));
    // A byte that equals the backslash is zero here, and borrows into its highest bit.
    const uint64_t difference = word ^ (kOnes * '\\');
    if (((word | (difference - kOnes)) & kHighBits) != 0) return false;
  }
  return std::none_of(at, end, [](char c) { return c == '\\' || static_cast<uint8_t>(c) >= 0x80; });
}

}  // namespace

std::string EscapeToUtf8(const std::string& bytes) {
  std::string text;
  EscapeToUtf8(bytes, &text);
  return text;
}

void EscapeToUtf8(const std::string& bytes, std::string* text) {
  constexpr char kDigits[] = "0123456789abcdef";
  if (IsPlain(bytes)) {
    *text = bytes;
    return;
  }
  text->clear();
  text->reserve(bytes.size());
  for (size_t at = 0; at < bytes.size();) {
    const size_t length = bytes[at] == '\\' ? 0 : SequenceLength(bytes, at);
    if (length == 0) {
      const auto byte = static_cast<uint8_t>(bytes[at]);
      *text += "\\x";
      *text += kDigits[byte >> 4];
      *text += kDigits[byte & 15];
      ++at;
    } else {
      text->append(bytes, at, length);
      at += length;
    }
  }
}

std::string UnescapeFromUtf8(const std::string& text) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  std::string bytes;
  bytes.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const bool escaped = at + 3 < text.size() && text[at] == '\\' && text[at + 1] == 'x' &&
                         digit(text[at + 2]) >= 0 && digit(text[at + 3]) >= 0;
    if (escaped) {
      bytes += static_cast<char>(digit(text[at + 2]) << 4 | digit(text[at + 3]));
    } else {
      bytes += text[at];
    }
    at += escaped ? 4 : 1;
  }
  return bytes;
}

}  // namespace startscope
