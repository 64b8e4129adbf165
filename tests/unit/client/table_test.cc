// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/table.h"

#include <gtest/gtest.h>

#include "client/render/display_width.h"

namespace startscope {
namespace {

TEST(DisplayWidth, CountsColumnsNotBytes) {
  EXPECT_EQ(DisplayWidth("µs"), 2);
  EXPECT_EQ(DisplayWidth("日本"), 4);
  EXPECT_EQ(DisplayWidth("e\u0301"), 1);
}

TEST(DisplayWidth, CuttingKeepsTheEndOfAPath) {
  EXPECT_EQ(CutLeft("/usr/lib/libc.so.6", 10, "…"), "…libc.so.6");
  EXPECT_EQ(CutRight("dependency", 5, "…"), "depe…");
  EXPECT_EQ(CutRight("fits", 4, "…"), "fits");
}

TEST(DisplayWidth, CuttingNeverSplitsAWideCharacter) {
  EXPECT_EQ(CutRight("日本語", 4, "…"), "日…");
  EXPECT_EQ(CutLeft("日本語", 4, "…"), "…語");
}

TEST(Table, AlignsByDisplayWidth) {
  Table table({{"name"}, {"time", Align::kRight}, {"end"}}, 1);
  table.AddRow({"日本", "1 µs", "x"});
  table.AddRow({"a", "12.3 ms", "y"});
  EXPECT_EQ(table.Render(TerminalStyle{}),
            " name     time  end\n"
            " 日本     1 µs  x\n"
            " a     12.3 ms  y\n");
}

TEST(Table, LinesHaveNoTrailingBlanks) {
  Table table({{"a"}, {"b"}, {"c"}}, 0);
  table.AddRow({"long cell", ""});
  table.AddRow({"x", "", "last"});
  EXPECT_EQ(table.Render(TerminalStyle{}), "a          b  c\nlong cell\nx             last\n");
}

TEST(Table, ColourDoesNotMoveColumns) {
  TerminalStyle style;
  style.color = true;
  Table table({{""}, {""}}, 0);
  table.AddRow({Cell("a", TextStyle::kBold), "b"});
  table.AddRow({"aa", "b"});
  EXPECT_EQ(table.Render(style), "\x1b[1ma\x1b[0m   b\naa  b\n");
}

}  // namespace
}  // namespace startscope
