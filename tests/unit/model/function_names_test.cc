// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/function_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace startscope {
namespace {

using ::testing::Pair;
using ::testing::UnorderedElementsAre;

constexpr FileId kFile{8, 1, 77};
constexpr FileId kOther{8, 1, 78};

TEST(FunctionNamesTest, OfAFileThatWasNotLookedUpNothingIsKnown) {
  FunctionNames names(1 << 20);
  names.Keep({kFile, {{0x10, "frob"}}});
  EXPECT_EQ(names.Find(kOther), nullptr);
}

TEST(FunctionNamesTest, WhatWasLookedUpAddsUp) {
  FunctionNames names(1 << 20);
  names.Keep({kFile, {{0x10, "frob"}}});
  names.Keep({kFile, {{0x10, "frob"}, {0x20, ""}}});
  ASSERT_NE(names.Find(kFile), nullptr);
  EXPECT_THAT(*names.Find(kFile), UnorderedElementsAre(Pair(0x10, "frob"), Pair(0x20, "")));
}

TEST(FunctionNamesTest, AnAnswerOfNothingIsNoAnswer) {
  FunctionNames names(1 << 20);
  names.Keep({kFile, {}});
  EXPECT_EQ(names.Find(kFile), nullptr);
}

TEST(FunctionNamesTest, ForgettingAFileLeavesTheOthers) {
  FunctionNames names(1 << 20);
  names.Keep({kOther, {{0x10, "twiddle"}}});
  const size_t before = names.bytes();
  names.Keep({kFile, {{0x10, "frob"}, {0x20, std::string(1000, 'x')}}});
  EXPECT_GT(names.bytes(), before + 1000);
  names.Forget(kFile);
  EXPECT_EQ(names.Find(kFile), nullptr);
  EXPECT_NE(names.Find(kOther), nullptr);
  EXPECT_EQ(names.bytes(), before);
}

TEST(FunctionNamesTest, TheyStayBounded) {
  constexpr size_t kMaxBytes = 100'000;
  const std::string name(1000, 'x');
  FunctionNames names(kMaxBytes);
  for (uint64_t offset = 0; offset < 1000; ++offset) {
    names.Keep({offset % 2 == 0 ? kFile : kOther, {{offset, name}}});
    ASSERT_LE(names.bytes(), kMaxBytes + 2 * name.size());
  }
  EXPECT_TRUE(names.Find(kOther)->contains(999));  // the last one is there
}

}  // namespace
}  // namespace startscope
