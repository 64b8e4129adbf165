// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/demangle.h"

#include <gtest/gtest.h>

namespace startscope {
namespace {

TEST(ReadableSymbol, NamesOfCppAreWrittenOut) {
  EXPECT_EQ(ReadableSymbol("_ZN5image8Registry3addEPKc", true),
            "image::Registry::add(char const*)");
}

TEST(ReadableSymbol, OtherNamesStayAsTheyAre) {
  for (const char* name :
       {"frame_dummy", "main.init.0", "_RNvCs1234_7mycrate4main", "_Zbroken", ""}) {
    EXPECT_EQ(ReadableSymbol(name, true), name);
  }
}

TEST(ReadableSymbol, ANameThatGrowsWithoutEndStaysAsItIs) {
  // Each pair repeats all that came before it: the plain name would have 2^40 parts.
  std::string growing = "_Z1fSt4pairIiiE";
  std::string types = "St4pairIiiE";
  growing = "_Z1f" + types;
  for (int i = 0; i < 40; ++i) {
    const std::string last =
        i == 0 ? "S_" : "S" + std::string(1, static_cast<char>('0' + i % 10)) + "_";
    growing += "St4pairI" + last + last + "E";
  }
  EXPECT_EQ(ReadableSymbol(growing, true), growing);
  std::string pack = "_Z1fIJ" + std::string(100, 'i') + "EEvDpDpDpT_";
  EXPECT_EQ(ReadableSymbol(pack, true), pack);
}

TEST(ReadableSymbol, ControlCharactersAreShownAndNotSent) {
  EXPECT_EQ(ReadableSymbol("_Z\x1b[m", true), "_Z\\x1b[m");
  EXPECT_EQ(ReadableSymbol("_Z3\x1b[mv", true).find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace startscope
