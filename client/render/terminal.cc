// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/terminal.h"

#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace startscope {
namespace {

constexpr int kDefaultWidth = 100;
constexpr int kMinWidth = 40;
constexpr int kMaxWidth = 200;

bool IsSet(const char* name) {
  const char* value = getenv(name);
  return value != nullptr && value[0] != '\0';
}

}  // namespace

Glyphs Glyphs::Utf8() {
  return {.micro = "µ",
          .unmeasured = "–",
          .dot = "·",
          .ellipsis = "…",
          .arrow = "→",
          .branch = "├─ ",
          .last_branch = "└─ ",
          .trunk = "│  ",
          .reference = "↑"};
}

Glyphs Glyphs::Ascii() {
  return {.micro = "u",
          .unmeasured = "-",
          .dot = "|",
          .ellipsis = "~",
          .arrow = "->",
          .branch = "|- ",
          .last_branch = "`- ",
          .trunk = "|  ",
          .reference = "^"};
}

std::string Styled(const std::string& text, TextStyle style, const TerminalStyle& terminal) {
  if (!terminal.color || text.empty()) return text;
  const char* code = "";
  switch (style) {
    case TextStyle::kPlain:
      return text;
    case TextStyle::kBold:
      code = "1";
      break;
    case TextStyle::kDim:
      code = "2";
      break;
    case TextStyle::kBar:
      code = "36";
      break;
    case TextStyle::kWarning:
      code = "33";
      break;
  }
  return std::string("\x1b[") + code + "m" + text + "\x1b[0m";
}

TerminalStyle DetectTerminal(int fd, ColorChoice choice) {
  TerminalStyle style;
  const bool is_terminal = isatty(fd) == 1;
  const char* term = getenv("TERM");
  const bool dumb = term != nullptr && strcmp(term, "dumb") == 0;
  style.color = choice == ColorChoice::kAlways ||
                (choice == ColorChoice::kAuto && is_terminal && !dumb && !IsSet("NO_COLOR"));
  style.rewritable = is_terminal && !dumb;
  style.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
  style.glyphs = style.utf8 ? Glyphs::Utf8() : Glyphs::Ascii();
  style.width = kDefaultWidth;
  winsize size{};
  if (const char* columns = getenv("COLUMNS"); columns != nullptr && atoi(columns) > 0) {
    style.width = atoi(columns);
  } else if (is_terminal && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    style.width = size.ws_col;
  }
  style.width = std::clamp(style.width, kMinWidth, kMaxWidth);
  return style;
}

}  // namespace startscope
