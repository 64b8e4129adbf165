// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/decode/orderer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace startscope
