// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_TEXT_SANITIZER_H_
#define STARTSCOPE_CLIENT_RENDER_TEXT_SANITIZER_H_

#include <cstdint>
#include <string>

namespace startscope {

struct DecodedCodePoint {
  uint32_t value = 0;
  // Bytes it takes; 0: what is there is not UTF-8.
  int length = 0;
};

// The code point that starts at `at`, which is inside `text`.
[[nodiscard]] DecodedCodePoint DecodeUtf8(const std::string& text, size_t at);

// Whether a terminal acts on this code point, or shows it as nothing at all.
[[nodiscard]] bool IsUnsafe(uint32_t value);

// `text` made safe for a terminal, without loss: control characters, ESC, bidirectional overrides
// and other invisible characters appear as \xHH or \u{H…}, invalid UTF-8 as \xHH. Without `utf8`,
// every character beyond ASCII is escaped too. The daemon's own \xHH escapes pass through as they
// are.
[[nodiscard]] std::string SanitizeText(const std::string& text, bool utf8);

// The same of a message of several lines, which keep their breaks. What is safe stays as it is, so
// that a message whose parts were made safe may pass too.
[[nodiscard]] std::string SanitizeLines(const std::string& text, bool utf8);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_TEXT_SANITIZER_H_
