// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/bars.h"

#include <algorithm>

namespace startscope {

std::string Bar(uint64_t part, uint64_t whole, int width, bool utf8) {
  if (part == 0 || whole == 0 || width <= 0) return "";
  const double share = std::min(1.0, static_cast<double>(part) / static_cast<double>(whole));
  if (!utf8) {
    const int cells = std::max(1, static_cast<int>(share * width + 0.5));
    return std::string(static_cast<size_t>(cells), '#');
  }
  static constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int eighths = std::max(1, static_cast<int>(share * width * 8 + 0.5));
  std::string bar;
  for (int i = 0; i < eighths / 8; ++i) bar += "█";
  return bar + kEighths[eighths % 8];
}

}  // namespace startscope
