// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_CUT_TEXT_H_
#define STARTSCOPE_CLIENT_EXPORT_CUT_TEXT_H_

#include <cstddef>
#include <string>
#include <utility>

namespace startscope {

// `text`, which is UTF-8, at most so many bytes of it, and no half of a character.
[[nodiscard]] inline std::string CutText(std::string text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  size_t end = max_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
  return text;
}

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_CUT_TEXT_H_
