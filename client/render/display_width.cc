// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/display_width.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "client/render/text_sanitizer.h"

namespace startscope {
namespace {

struct Range {
  uint32_t first;
  uint32_t last;
};

constexpr Range kZeroWidth[] = {
    {0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x610, 0x61a},   {0x64b, 0x65f},
    {0x6d6, 0x6dc},   {0x900, 0x902},   {0xe31, 0xe31},   {0xe34, 0xe3a},   {0xe47, 0xe4e},
    {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x20d0, 0x20ff}, {0x302a, 0x302d}, {0x3099, 0x309a},
    {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f},
};

constexpr Range kDoubleWidth[] = {
    {0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf},
    {0x4e00, 0x9fff},   {0xa000, 0xa4cf},   {0xa960, 0xa97f},   {0xac00, 0xd7a3},
    {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},
    {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
};

template <size_t size>
bool Contains(const Range (&ranges)[size], uint32_t value) {
  return std::any_of(ranges, ranges + size, [value](const Range& range) {
    return value >= range.first && value <= range.last;
  });
}

int CodePointWidth(uint32_t value) {
  if (value < 0x300) return 1;
  if (Contains(kZeroWidth, value)) return 0;
  return Contains(kDoubleWidth, value) ? 2 : 1;
}

struct Glyph {
  size_t begin;
  size_t end;
  int width;
};

std::vector<Glyph> Split(const std::string& text) {
  std::vector<Glyph> glyphs;
  for (size_t at = 0; at < text.size();) {
    const DecodedCodePoint point = DecodeUtf8(text, at);
    const size_t length = static_cast<size_t>(std::max(point.length, 1));
    glyphs.push_back({at, at + length, CodePointWidth(point.value)});
    at += length;
  }
  return glyphs;
}

}  // namespace

int DisplayWidth(const std::string& text) {
  int width = 0;
  for (const Glyph& glyph : Split(text)) width += glyph.width;
  return width;
}

std::string CutRight(const std::string& text, int width, const std::string& ellipsis) {
  if (DisplayWidth(text) <= width) return text;
  const int room = width - DisplayWidth(ellipsis);
  if (room < 0) return "";
  int used = 0;
  size_t end = 0;
  for (const Glyph& glyph : Split(text)) {
    if (used + glyph.width > room) break;
    used += glyph.width;
    end = glyph.end;
  }
  return text.substr(0, end) + ellipsis;
}

std::string CutLeft(const std::string& text, int width, const std::string& ellipsis) {
  if (DisplayWidth(text) <= width) return text;
  const int room = width - DisplayWidth(ellipsis);
  if (room < 0) return "";
  const std::vector<Glyph> glyphs = Split(text);
  int used = 0;
  size_t begin = text.size();
  for (auto glyph = glyphs.rbegin(); glyph != glyphs.rend(); ++glyph) {
    if (used + glyph->width > room) break;
    used += glyph->width;
    begin = glyph->begin;
  }
  return ellipsis + text.substr(begin);
}

std::string PadRight(const std::string& text, int width) {
  return text + std::string(static_cast<size_t>(std::max(0, width - DisplayWidth(text))), ' ');
}

std::string PadLeft(const std::string& text, int width) {
  return std::string(static_cast<size_t>(std::max(0, width - DisplayWidth(text))), ' ') + text;
}

}  // namespace startscope
