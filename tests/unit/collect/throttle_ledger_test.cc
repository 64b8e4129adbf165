// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/collect/throttle_ledger.h"

#include <gtest/gtest.h>

namespace startscope {
namespace {

ThrottledCgroup Group(uint64_t id, uint64_t throttled) {
  ThrottledCgroup group;
  group.cgroup_id = id;
  group.budget.throttled = throttled;
  return group;
}

TEST(ThrottleLedger, TellsTheDifferenceOfEachGroupOnce) {
  ThrottleLedger ledger;
  EXPECT_EQ(ledger.Update(10, 5, {Group(1, 5)}).at(0).count, 5u);
  EXPECT_TRUE(ledger.Update(20, 5, {Group(1, 5)}).empty());
  const auto news = ledger.Update(30, 9, {Group(1, 7), Group(2, 2)});
  ASSERT_EQ(news.size(), 2u);
  EXPECT_EQ(news[0].count, 2u);
  EXPECT_EQ(news[0].total, 7u);
  EXPECT_EQ(news[0].since_ns, 20u);
  EXPECT_EQ(ledger.told(), 9u);
}

TEST(ThrottleLedger, WhatAForgottenGroupHadLeftIsToldWithoutIt) {
  ThrottleLedger ledger;
  ledger.Update(10, 5, {Group(1, 5)});
  EXPECT_TRUE(ledger.Update(20, 8, {}).empty());
  const auto news = ledger.Update(30, 8, {});
  ASSERT_EQ(news.size(), 1u);
  EXPECT_EQ(news[0].cgroup_id, 0u);
  EXPECT_EQ(news[0].count, 3u);
}

TEST(ThrottleLedger, AGroupThatOneWalkMissedIsNotToldTwice) {
  ThrottleLedger ledger;
  EXPECT_TRUE(ledger.Update(10, 4, {}).empty());
  EXPECT_EQ(ledger.Update(20, 4, {Group(1, 4)}).at(0).count, 4u);
  EXPECT_TRUE(ledger.Update(30, 4, {Group(1, 4)}).empty());
}

}  // namespace
}  // namespace startscope
