// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/text_sanitizer.h"

#include "absl/strings/str_format.h"

namespace startscope {
namespace {

struct Range {
  uint32_t first;
  uint32_t last;
};

// What a terminal acts on, or shows as nothing at all: control characters, what is for private use,
// and what Unicode says may be left out (Default_Ignorable_Code_Point).
constexpr Range kUnsafe[] = {
    {0x00, 0x1f},        {0x7f, 0x9f},       {0xad, 0xad},       {0x34f, 0x34f},
    {0x61c, 0x61c},      {0x115f, 0x1160},   {0x17b4, 0x17b5},   {0x180b, 0x180f},
    {0x200b, 0x200f},    {0x2028, 0x202e},   {0x2060, 0x206f},   {0x3164, 0x3164},
    {0xe000, 0xf8ff},    {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},
    {0xfff0, 0xfffb},    {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
    {0xf0000, 0x10ffff},
};

}  // namespace

bool IsUnsafe(uint32_t value) {
  for (const Range& range : kUnsafe) {
    if (value >= range.first && value <= range.last) return true;
  }
  return false;
}

DecodedCodePoint DecodeUtf8(const std::string& text, size_t at) {
  const auto byte = [&](size_t index) -> uint32_t {
    return index < text.size() ? static_cast<uint8_t>(text[index]) : 0;
  };
  const uint32_t first = byte(at);
  if (first < 0x80) return {first, 1};
  int length = 0;
  uint32_t value = 0;
  uint32_t smallest = 0;
  if ((first & 0xe0) == 0xc0) {
    length = 2, value = first & 0x1f, smallest = 0x80;
  } else if ((first & 0xf0) == 0xe0) {
    length = 3, value = first & 0x0f, smallest = 0x800;
  } else if ((first & 0xf8) == 0xf0) {
    length = 4, value = first & 0x07, smallest = 0x10000;
  } else {
    return {first, 0};
  }
  for (int i = 1; i < length; ++i) {
    const uint32_t next = byte(at + static_cast<size_t>(i));
    if ((next & 0xc0) != 0x80) return {first, 0};
    value = value << 6 | (next & 0x3f);
  }
  const bool surrogate = value >= 0xd800 && value <= 0xdfff;
  if (value < smallest || value > 0x10ffff || surrogate) return {first, 0};
  return {value, length};
}

std::string SanitizeText(const std::string& text, bool utf8) {
  std::string safe;
  safe.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const DecodedCodePoint point = DecodeUtf8(text, at);
    if (point.length == 0) {
      safe += absl::StrFormat("\\x%02x", point.value);
      ++at;
      continue;
    }
    if (point.value < 0x80 && IsUnsafe(point.value)) {
      safe += absl::StrFormat("\\x%02x", point.value);
    } else if (point.value >= 0x80 && (!utf8 || IsUnsafe(point.value))) {
      safe += absl::StrFormat("\\u{%x}", point.value);
    } else {
      safe.append(text, at, static_cast<size_t>(point.length));
    }
    at += static_cast<size_t>(point.length);
  }
  return safe;
}

std::string SanitizeLines(const std::string& text, bool utf8) {
  std::string safe;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    safe += SanitizeText(text.substr(at, end - at), utf8);
    if (end == std::string::npos) break;
    safe += '\n';
    at = end + 1;
  }
  return safe;
}

}  // namespace startscope
