// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_DISPLAY_WIDTH_H_
#define STARTSCOPE_CLIENT_RENDER_DISPLAY_WIDTH_H_

#include <string>

namespace startscope {

// Terminal columns of sanitised UTF-8 text: combining marks take none, East Asian wide ones two.
[[nodiscard]] int DisplayWidth(const std::string& text);

// `text` cut to at most `width` columns, marked with `ellipsis` where something is missing. From
// the left for paths, whose end tells more than their begin.
[[nodiscard]] std::string CutRight(const std::string& text, int width, const std::string& ellipsis);
[[nodiscard]] std::string CutLeft(const std::string& text, int width, const std::string& ellipsis);

[[nodiscard]] std::string PadRight(const std::string& text, int width);
[[nodiscard]] std::string PadLeft(const std::string& text, int width);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_DISPLAY_WIDTH_H_
