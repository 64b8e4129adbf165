// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_TERMINAL_H_
#define STARTSCOPE_CLIENT_RENDER_TERMINAL_H_

#include <cstdint>
#include <string>

namespace startscope {

enum class ColorChoice : uint8_t { kAuto, kAlways, kNever };

// The characters that differ between a UTF-8 terminal and any other.
struct Glyphs {
  std::string micro;
  // Stands for "not measured".
  std::string unmeasured;
  // Between the items of one line.
  std::string dot;
  std::string ellipsis;
  std::string arrow;
  // The lines of a tree: before an item that others follow, before the last one, and below each.
  std::string branch;
  std::string last_branch;
  std::string trunk;
  // Before what is shown elsewhere.
  std::string reference;

  [[nodiscard]] static Glyphs Utf8();
  [[nodiscard]] static Glyphs Ascii();
};

// What the place that text goes to can show.
struct TerminalStyle {
  int width = 100;
  bool utf8 = true;
  bool color = false;
  // A line that was written can be taken back.
  bool rewritable = false;
  Glyphs glyphs = Glyphs::Utf8();
};

enum class TextStyle : uint8_t { kPlain, kBold, kDim, kBar, kWarning };

// `text` in `style`, or as it is where there is no colour.
[[nodiscard]] std::string Styled(const std::string& text, TextStyle style,
                                 const TerminalStyle& terminal);

// The style for text written to `fd`: colour only on a terminal unless forced, never with NO_COLOR;
// UTF-8 by the locale; as wide as the terminal, COLUMNS, or 100. Call setlocale(LC_CTYPE, "")
// first.
[[nodiscard]] TerminalStyle DetectTerminal(int fd, ColorChoice choice);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_TERMINAL_H_
