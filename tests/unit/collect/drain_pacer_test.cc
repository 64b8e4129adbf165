// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/collect/drain_pacer.h"

#include <gtest/gtest.h>

namespace startscope {
namespace {

constexpr uint64_t kMs = 1'000'000;

// What the pacer says after a second of so many starts.
int TickAt(uint64_t startups_per_second) {
  DrainPacer pacer;
  uint64_t now = 5'000 * kMs;
  for (uint64_t ms = 0; ms <= 1000; ++ms, now += kMs) {
    pacer.Drained(now, true, ms * startups_per_second / 1000);
  }
  return pacer.TickMs(now, true);
}

TEST(DrainPacer, ReportsOfFewStartsComeSoonThoseOfManyTogether) {
  EXPECT_EQ(TickAt(1), 2);
  EXPECT_EQ(TickAt(200), 2);
  EXPECT_EQ(TickAt(500), 4);
  EXPECT_EQ(TickAt(5000), 8);
}

TEST(DrainPacer, LooksRarelyWhenNothingComesAndHardlyWhenNobodyWatches) {
  DrainPacer pacer;
  EXPECT_EQ(pacer.TickMs(1'000 * kMs, true), 20);
  pacer.Drained(1'000 * kMs, true, 1);
  EXPECT_EQ(pacer.TickMs(1'001 * kMs, true), 2);
  EXPECT_EQ(pacer.TickMs(1'001 * kMs, false), 1000);
  pacer.Drained(1'020 * kMs, false, 1);
  EXPECT_EQ(pacer.TickMs(1'029 * kMs, true), 2);
  EXPECT_EQ(pacer.TickMs(1'030 * kMs, true), 20);
}

TEST(DrainPacer, AStormThatIsOverIsForgotten) {
  DrainPacer pacer;
  for (uint64_t ms = 1000; ms < 1200; ++ms) pacer.Drained(ms * kMs, true, 2 * ms);
  EXPECT_EQ(pacer.TickMs(1'200 * kMs, true), 8);
  pacer.Drained(1'300 * kMs, true, 2400);
  pacer.Drained(1'360 * kMs, true, 2400);
  EXPECT_EQ(pacer.TickMs(1'361 * kMs, true), 2);
}

}  // namespace
}  // namespace startscope
