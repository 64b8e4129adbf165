// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/page_index.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace startscope {
namespace {

TEST(PageIndexTest, GivesWhatWasGivenFirst) {
  PageIndex index;
  EXPECT_EQ(index.FindOrAdd(0x1000, 0), 0u);
  EXPECT_EQ(index.FindOrAdd(0x2000, 1), 1u);
  EXPECT_EQ(index.FindOrAdd(0x1000, 2), 0u);
  EXPECT_EQ(index.FindOrAdd(0, 2), 2u);
}

TEST(PageIndexTest, HoldsAnyNumberAndNothingOnceCleared) {
  std::mt19937_64 random(5);  // NOLINT: the same every time
  PageIndex index;
  for (const size_t count : {10, 100'000, 300, 0, 50}) {
    std::map<uint64_t, uint32_t> expected;
    for (uint32_t i = 0; i < count; ++i) {
      const uint64_t page = (random() % (2 * count)) << 12;
      const uint32_t first = expected.try_emplace(page, i).first->second;
      ASSERT_EQ(index.FindOrAdd(page, i), first);
    }
    index.Clear();
  }
}

}  // namespace
}  // namespace startscope
