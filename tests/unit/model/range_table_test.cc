// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/range_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <utility>
#include <vector>

namespace startscope {
namespace {

// The same, kept by unit of address: which object is there, and at which offset in its file.
using Units = std::map<uint64_t, std::pair<uint32_t, uint64_t>>;

class RangeTableTest : public ::testing::Test {
 protected:
  // As a mapping is made: what was there gives way.
  void Map(uint64_t start, uint64_t end, uint32_t object) {
    table_.SplitAt(end);
    const auto place = table_.RemoveUntil(table_.SplitAt(start), end);
    MappedRange range;
    range.start = start;
    range.end = end;
    range.file_offset = 1000 * object;
    range.object = object;
    table_.Insert(place, range);
    for (uint64_t at = start; at < end; ++at) units_[at] = {object, 1000 * object + at - start};
  }
  void Unmap(uint64_t start, uint64_t end) {
    table_.SplitAt(end);
    table_.RemoveUntil(table_.SplitAt(start), end);
    units_.erase(units_.lower_bound(start), units_.lower_bound(end));
  }
  void ExpectSame() const {
    Units units;
    uint64_t last_end = 0;
    for (auto at = table_.begin(); !table_.IsEnd(at); at = table_.Next(at)) {
      const MappedRange& range = table_[at];
      ASSERT_GE(range.start, last_end);
      ASSERT_LT(range.start, range.end);
      const MappedRange* before = table_.Before(at);
      ASSERT_EQ(before == nullptr ? 0 : before->end, last_end);
      last_end = range.end;
      for (uint64_t unit = range.start; unit < range.end; ++unit) {
        units[unit] = {range.object, range.file_offset + unit - range.start};
      }
    }
    ASSERT_EQ(units, units_);
  }
  void ExpectFound(uint64_t address) const {
    const auto at = table_.FirstEndingAfter(address);
    const auto unit = units_.lower_bound(address);
    ASSERT_EQ(table_.IsEnd(at), unit == units_.end()) << address;
    if (table_.IsEnd(at)) return;
    EXPECT_EQ(std::max(table_[at].start, address), unit->first);
    EXPECT_EQ(table_[at].object, unit->second.first);
  }

  RangeTable table_;
  Units units_;
};

TEST_F(RangeTableTest, HoldsWhatWasPutThereLastHoweverManyThereAre) {
  constexpr uint64_t kUnits = 4000;
  std::mt19937 random(1);  // NOLINT: the same every time
  for (uint32_t i = 0; i < 6000; ++i) {
    const uint64_t start = random() % kUnits;
    const uint64_t end = start + 1 + random() % 8;
    if (random() % 4 == 0) {
      Unmap(start, end);
    } else {
      Map(start, end, i % 50);
    }
    ExpectFound(random() % kUnits);
    if (i % 500 == 0) ExpectSame();
  }
  ExpectSame();
  for (uint64_t address = 0; address < kUnits + 10; ++address) ExpectFound(address);
}

TEST_F(RangeTableTest, ManyRangesGiveWayToOne) {
  for (uint64_t i = 0; i < 1000; ++i) Map(10 * i, 10 * i + 5, 1);
  Map(15, 9'002, 2);
  ExpectSame();
  Unmap(0, 20'000);
  EXPECT_TRUE(table_.IsEnd(table_.begin()));
  Map(3, 4, 3);
  ExpectSame();
}

TEST_F(RangeTableTest, IsEmptyOnceCleared) {
  for (uint64_t i = 0; i < 300; ++i) Map(10 * i, 10 * i + 5, 1);
  table_.Clear();
  units_.clear();
  ExpectSame();
  ExpectFound(12);
  Map(7, 9, 1);
  ExpectSame();
}

}  // namespace
}  // namespace startscope
