// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/terminal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "daemon/base/unique_fd.h"

namespace startscope {
namespace {

// A file is no terminal, so what is detected depends on the environment alone.
class Terminal : public testing::Test {
 protected:
  Terminal() : file_(open("/dev/null", O_WRONLY | O_CLOEXEC)) {
    unsetenv("COLUMNS");
    unsetenv("NO_COLOR");
  }
  ~Terminal() override {
    unsetenv("COLUMNS");
    unsetenv("NO_COLOR");
  }

  UniqueFd file_;
};

TEST_F(Terminal, WithoutATerminalThereIsNoColourAndAFixedWidth) {
  const TerminalStyle style = DetectTerminal(file_.get(), ColorChoice::kAuto);
  EXPECT_FALSE(style.color);
  EXPECT_EQ(style.width, 100);
}

TEST_F(Terminal, ColourCanBeForced) {
  EXPECT_TRUE(DetectTerminal(file_.get(), ColorChoice::kAlways).color);
}

TEST_F(Terminal, AnExplicitChoiceBeatsNoColor) {
  setenv("NO_COLOR", "1", 1);
  EXPECT_TRUE(DetectTerminal(file_.get(), ColorChoice::kAlways).color);
  EXPECT_FALSE(DetectTerminal(file_.get(), ColorChoice::kAuto).color);
}

TEST_F(Terminal, ColumnsSetsTheWidthWithinReason) {
  setenv("COLUMNS", "60", 1);
  EXPECT_EQ(DetectTerminal(file_.get(), ColorChoice::kAuto).width, 60);
  setenv("COLUMNS", "1", 1);
  EXPECT_EQ(DetectTerminal(file_.get(), ColorChoice::kAuto).width, 40);
  setenv("COLUMNS", "nonsense", 1);
  EXPECT_EQ(DetectTerminal(file_.get(), ColorChoice::kAuto).width, 100);
}

TEST_F(Terminal, TextWithoutColourIsUnchanged) {
  EXPECT_EQ(Styled("text", TextStyle::kBold, TerminalStyle{}), "text");
}

}  // namespace
}  // namespace startscope
