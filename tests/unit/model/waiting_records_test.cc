// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/waiting_records.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace startscope {
namespace {

class WaitingRecordsTest : public ::testing::Test {
 protected:
  void Keep(uint32_t pid, uint64_t at) {
    Event event;
    event.pid = pid;
    event.boottime_ns = at;
    event.payload = MappingEvent{};
    waiting_.Keep(std::move(event));
  }
  struct Taken {
    std::vector<Event> events;
    bool complete = false;
  };
  Taken Take(uint32_t pid, uint64_t since_ns) {
    Taken taken;
    taken.complete = waiting_.Take(
        pid, since_ns, [&taken](Event&& event) { taken.events.push_back(std::move(event)); });
    return taken;
  }
  WaitingRecords waiting_{{.processes = 3, .records = 4}};
};

TEST_F(WaitingRecordsTest, GivesWhatWasMadeSinceAndForgetsTheRest) {
  for (const uint64_t at : {10, 20, 30}) Keep(1, at);
  const Taken taken = Take(1, 20);
  ASSERT_EQ(taken.events.size(), 2u);
  EXPECT_EQ(taken.events[0].boottime_ns, 20u);
  EXPECT_TRUE(taken.complete);
  EXPECT_TRUE(Take(1, 0).events.empty());
}

TEST_F(WaitingRecordsTest, TheNewestOfAProcessRemain) {
  for (uint64_t at = 10; at < 15; ++at) Keep(1, at);
  EXPECT_EQ(waiting_.gave_way(), 2u);
  EXPECT_EQ(waiting_.kept(), 5u);
  const Taken since = Take(1, 12);
  EXPECT_EQ(since.events.size(), 3u);
  EXPECT_TRUE(since.complete);  // what gave way was older
}

TEST_F(WaitingRecordsTest, SaysWhenWhatIsWantedGaveWay) {
  for (uint64_t at = 10; at < 15; ++at) Keep(1, at);
  EXPECT_FALSE(Take(1, 11).complete);
}

TEST_F(WaitingRecordsTest, TheProcessThatWasHeardOfLongestAgoGoesFirst) {
  Keep(1, 10);
  Keep(2, 11);
  Keep(3, 12);
  Keep(1, 13);
  Keep(4, 14);
  EXPECT_EQ(waiting_.gave_way(), 1u);
  EXPECT_TRUE(Take(2, 12).events.empty());
  EXPECT_EQ(Take(1, 10).events.size(), 2u);
}

TEST_F(WaitingRecordsTest, AnExecThatBeganBeforeAProcessGaveWayMayLackRecords) {
  for (uint32_t pid = 1; pid <= 4; ++pid) Keep(pid, 10 * pid);
  EXPECT_FALSE(Take(1, 10).complete);
  EXPECT_FALSE(Take(9, 5).complete);
  EXPECT_TRUE(Take(2, 15).complete);
}

TEST_F(WaitingRecordsTest, AForgottenProcessLeavesRoom) {
  for (uint32_t pid = 1; pid <= 3; ++pid) Keep(pid, 10);
  waiting_.Forget(2);
  Keep(4, 11);
  EXPECT_EQ(waiting_.gave_way(), 0u);
}

}  // namespace
}  // namespace startscope
