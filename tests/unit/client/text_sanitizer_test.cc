// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/text_sanitizer.h"

#include <gtest/gtest.h>

namespace startscope {
namespace {

std::string Safe(const std::string& text) { return SanitizeText(text, true); }

TEST(TextSanitizer, OrdinaryTextIsLeftAlone) {
  EXPECT_EQ(Safe("/usr/bin/python3.11 –µ日本"), "/usr/bin/python3.11 –µ日本");
}

TEST(TextSanitizer, EscapeSequencesCannotReachTheTerminal) {
  EXPECT_EQ(Safe("\x1b]0;owned\x07"), "\\x1b]0;owned\\x07");
}

TEST(TextSanitizer, LineBreaksAndDeleteAreEscaped) {
  EXPECT_EQ(Safe("a\nb\rc\td\x7f"), "a\\x0ab\\x0dc\\x09d\\x7f");
}

TEST(TextSanitizer, C1ControlsAreEscaped) {
  EXPECT_EQ(Safe("\xc2\x9b"
                 "31m"),
            "\\u{9b}31m");
}

TEST(TextSanitizer, BidirectionalControlsAreEscaped) {
  for (const char* text : {"\u200e", "\u200f", "\u202a", "\u202e", "\u2066", "\u2069"}) {
    EXPECT_EQ(Safe(text).substr(0, 3), "\\u{") << text;
  }
  EXPECT_EQ(Safe("gpj.\u202eexe"), "gpj.\\u{202e}exe");
}

TEST(TextSanitizer, InvisibleCharactersAreEscaped) {
  EXPECT_EQ(Safe("a\u200b\ufeff"), "a\\u{200b}\\u{feff}");
  // Fillers, joiners, selectors of variants.
  for (const char* text : {"\u034f", "\u115f", "\u17b4", "\u180b", "\u3164", "\ufe0f", "\uffa0",
                           "\ufff0", "\U0001d173", "\U000e0041"}) {
    EXPECT_EQ(Safe(text).substr(0, 3), "\\u{") << text;
  }
}

TEST(TextSanitizer, InvalidUtf8IsEscapedByteByByte) {
  EXPECT_EQ(Safe("a\xff\xc3"), "a\\xff\\xc3");
  EXPECT_EQ(Safe("\xc0\xaf"), "\\xc0\\xaf") << "overlong";
  EXPECT_EQ(Safe("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "surrogate";
}

TEST(TextSanitizer, AMessageKeepsItsLinesAndWhatIsSafeAlready) {
  EXPECT_EQ(SanitizeLines("a\x1b\n\n  b\\x1b\r\n", true), "a\\x1b\n\n  b\\x1b\\x0d\n");
  EXPECT_EQ(SanitizeLines("", true), "");
}

TEST(TextSanitizer, EscapesOfTheDaemonPassThrough) { EXPECT_EQ(Safe("a\\xffb"), "a\\xffb"); }

TEST(TextSanitizer, WithoutUtf8EverythingBeyondAsciiIsEscaped) {
  EXPECT_EQ(SanitizeText("caf\u00e9", false), "caf\\u{e9}");
}

}  // namespace
}  // namespace startscope
