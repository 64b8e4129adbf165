// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_TEXT_LABEL_H_
#define STARTSCOPE_CLIENT_EXPORT_TEXT_LABEL_H_

#include <cstddef>
#include <string>

#include "client/export/cut_text.h"
#include "client/render/text_sanitizer.h"

namespace startscope {

inline constexpr size_t kMaxLabelBytes = 128;

// Text of whoever it comes from as a label's value. A scrape is lines, and people read it on
// terminals: what acts on either is escaped; and it is cut.
[[nodiscard]] inline std::string TextLabel(const std::string& text) {
  // First too, that the work is bounded as well.
  return CutText(SanitizeText(CutText(text, kMaxLabelBytes), true), kMaxLabelBytes);
}

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_TEXT_LABEL_H_
