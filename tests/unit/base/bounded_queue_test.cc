// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/base/bounded_queue.h"

#include <gtest/gtest.h>

#include <thread>

namespace startscope {
namespace {

TEST(BoundedQueueTest, RefusesAndCountsWhatDoesNotFit) {
  BoundedQueue<int> queue(2);
  EXPECT_TRUE(queue.TryPush(1));
  EXPECT_TRUE(queue.TryPush(2));
  EXPECT_FALSE(queue.TryPush(3));
  EXPECT_EQ(queue.dropped(), 1u);
  EXPECT_EQ(queue.Pop(), 1);
  EXPECT_EQ(queue.Pop(), 2);
}

TEST(BoundedQueueTest, CloseLetsTheRestBePoppedThenEnds) {
  BoundedQueue<int> queue(2);
  queue.TryPush(7);
  queue.Close();
  EXPECT_FALSE(queue.TryPush(8));
  EXPECT_EQ(queue.dropped(), 0u);
  EXPECT_EQ(queue.Pop(), 7);
  EXPECT_EQ(queue.Pop(), std::nullopt);
}

TEST(BoundedQueueTest, PopWaitsForAnotherThread) {
  BoundedQueue<int> queue(1);
  std::thread producer([&] { queue.TryPush(5); });
  EXPECT_EQ(queue.Pop(), 5);
  producer.join();
}

TEST(BoundedQueueTest, PopGivesUpAfterItsTimeout) {
  BoundedQueue<int> queue(1);
  EXPECT_EQ(queue.Pop(absl::Milliseconds(1)), std::nullopt);
  EXPECT_FALSE(queue.closed());
}

}  // namespace
}  // namespace startscope
