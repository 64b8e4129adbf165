// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_TESTS_FUZZ_TEXT_RULES_H_
#define STARTSCOPE_TESTS_FUZZ_TEXT_RULES_H_

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <string>

#include "tests/fuzz/require.h"

namespace startscope {

// Calls `each` with every code point of `text`, which must be UTF-8.
template <typename Each>
void RequireUtf8(const std::string& text, const Each& each) {
  const auto size = static_cast<int32_t>(text.size());
  for (int32_t at = 0; at < size;) {
    UChar32 point = 0;
    U8_NEXT(text.data(), at, size, point);
    Require(point >= 0);
    each(point);
  }
}

// What a terminal acts on, what turns the direction of other text, and what is shown as nothing: by
// Unicode's own tables.
inline bool IsHazard(UChar32 point) {
  switch (u_charType(point)) {
    case U_CONTROL_CHAR:
    case U_LINE_SEPARATOR:
    case U_PARAGRAPH_SEPARATOR:
    case U_PRIVATE_USE_CHAR:
    case U_SURROGATE:
      return true;
    default:
      return u_hasBinaryProperty(point, UCHAR_BIDI_CONTROL) != 0 ||
             u_hasBinaryProperty(point, UCHAR_DEFAULT_IGNORABLE_CODE_POINT) != 0;
  }
}

// Without line breaks too.
inline void RequireHarmlessLine(const std::string& text) {
  RequireUtf8(text, [](UChar32 point) { Require(!IsHazard(point)); });
}

inline void RequireHarmless(const std::string& text) {
  RequireUtf8(text, [](UChar32 point) { Require(point == '\n' || !IsHazard(point)); });
}

}  // namespace startscope

#endif  // STARTSCOPE_TESTS_FUZZ_TEXT_RULES_H_
