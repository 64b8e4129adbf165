// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/decode/orderer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

namespace startscope {
namespace {

using ::testing::ElementsAre;

Event At(uint64_t time, uint32_t pid) {
  Event event;
  event.boottime_ns = time;
  event.pid = pid;
  return event;
}

std::vector<uint32_t> Release(Orderer& orderer, uint64_t time) {
  std::vector<uint32_t> pids;
  orderer.ReleaseUpTo(time, [&](const Event& event) { pids.push_back(event.pid); });
  return pids;
}

TEST(OrdererTest, MergesSourcesByTimeAndHoldsBackWhatIsNewer) {
  Orderer orderer;
  orderer.Add(At(10, 1));
  orderer.Add(At(30, 3));
  orderer.Add(At(20, 2));
  EXPECT_THAT(Release(orderer, 25), ElementsAre(1, 2));
  EXPECT_EQ(orderer.waiting(), 1u);
  EXPECT_THAT(Release(orderer, 30), ElementsAre(3));
}

TEST(OrdererTest, KeepsTheOrderOfArrivalAtEqualTimes) {
  Orderer orderer;
  for (uint32_t pid = 1; pid <= 4; ++pid) orderer.Add(At(5, pid));
  EXPECT_THAT(Release(orderer, 5), ElementsAre(1, 2, 3, 4));
}

TEST(OrdererTest, CountsLateEventsAndStillReleasesThem) {
  Orderer orderer;
  orderer.Add(At(10, 1));
  Release(orderer, 20);
  orderer.Add(At(15, 2));
  EXPECT_THAT(Release(orderer, 30), ElementsAre(2));
  EXPECT_EQ(orderer.late(), 1u);
}

TEST(OrdererTest, MergesHoweverManySourcesThereAre) {
  std::mt19937 random(3);  // NOLINT: the same every time
  Orderer orderer;
  std::vector<std::pair<uint64_t, uint32_t>> expected;
  uint32_t pid = 0;
  for (uint64_t up_to = 1000; up_to <= 20'000; up_to += 1000) {
    const size_t events = random() % 200;
    for (size_t i = 0; i < events; ++i) {
      const uint64_t time = up_to - 999 + random() % 1999;  // some are held back
      orderer.Add(At(time, ++pid));
      expected.emplace_back(time, pid);
    }
    std::stable_sort(expected.begin(), expected.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<uint32_t> released;
    while (!expected.empty() && expected.front().first <= up_to) {
      released.push_back(expected.front().second);
      expected.erase(expected.begin());
    }
    EXPECT_EQ(Release(orderer, up_to), released);
  }
  EXPECT_EQ(orderer.waiting(), expected.size());
}

TEST(OrdererTest, AnEventThatWasNotAddedIsNotReleased) {
  Orderer orderer;
  orderer.next() = At(1, 1);
  orderer.next() = At(2, 2);
  orderer.AddNext();
  orderer.next() = At(3, 3);
  EXPECT_THAT(Release(orderer, 5), ElementsAre(2));
}

}  // namespace
}  // namespace startscope
