// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/units.h"

#include <gtest/gtest.h>

#include "client/render/bars.h"

namespace startscope {
namespace {

std::string Duration(uint64_t duration_ns) { return FormatDuration(duration_ns, Glyphs::Utf8()); }

TEST(Units, DurationsHaveThreeSignificantDigitsInTheUnitThatFits) {
  EXPECT_EQ(Duration(0), "0 ns");
  EXPECT_EQ(Duration(999), "999 ns");
  EXPECT_EQ(Duration(1000), "1.00 µs");
  EXPECT_EQ(Duration(12'340), "12.3 µs");
  EXPECT_EQ(Duration(388'000), "388 µs");
  EXPECT_EQ(Duration(1'750'000), "1.75 ms");
  EXPECT_EQ(Duration(61'200'000'000), "61.2 s");
}

TEST(Units, RoundingUpMovesToTheNextDigitOrUnit) {
  EXPECT_EQ(Duration(9'996), "10.0 µs");
  EXPECT_EQ(Duration(99'960), "100 µs");
  EXPECT_EQ(Duration(999'499), "999 µs");
  EXPECT_EQ(Duration(999'500), "1.00 ms");
  EXPECT_EQ(Duration(999'999'999), "1.00 s");
}

TEST(Units, HoursStayInSeconds) { EXPECT_EQ(Duration(7'200'000'000'000), "7200 s"); }

TEST(Units, AsciiGlyphsSpellMicroAsU) {
  EXPECT_EQ(FormatDuration(388'000, Glyphs::Ascii()), "388 us");
}

TEST(Units, BytesGoByPowersOf1024) {
  EXPECT_EQ(FormatBytes(512), "512 B");
  EXPECT_EQ(FormatBytes(1024), "1.00 KiB");
  EXPECT_EQ(FormatBytes(1'835'008), "1.75 MiB");
  EXPECT_EQ(FormatBytes(1024u * 1024 - 1), "1.00 MiB");
}

TEST(Units, SharesShowSmallPartsAsSmallNotAsNothing) {
  EXPECT_EQ(FormatShare(22, 100), "22 %");
  EXPECT_EQ(FormatShare(7, 1000), "0.7 %");
  EXPECT_EQ(FormatShare(1, 100'000), "<0.1 %");
  EXPECT_EQ(FormatShare(0, 100), "0 %");
  EXPECT_EQ(FormatShare(100, 100), "100 %");
  EXPECT_EQ(FormatShare(0, 0), "0 %");
}

TEST(Units, CountsAgreeWithTheirNoun) {
  EXPECT_EQ(FormatCount(1, "run"), "1 run");
  EXPECT_EQ(FormatCount(0, "run"), "0 runs");
}

TEST(Bars, AreMeasuredInEighthsOfAColumn) {
  EXPECT_EQ(Bar(1, 1, 4, true), "████");
  EXPECT_EQ(Bar(1, 2, 4, true), "██");
  EXPECT_EQ(Bar(5, 32, 4, true), "▋");
}

TEST(Bars, AnythingAboveZeroIsVisible) {
  EXPECT_EQ(Bar(1, 1'000'000, 10, true), "▏");
  EXPECT_EQ(Bar(1, 1'000'000, 10, false), "#");
  EXPECT_EQ(Bar(0, 10, 10, true), "");
}

TEST(Bars, NeverOutgrowTheirColumn) {
  EXPECT_EQ(Bar(20, 10, 3, true), "███");
  EXPECT_EQ(Bar(20, 10, 3, false), "###");
}

}  // namespace
}  // namespace startscope
