// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// How much may wait for subscribers, and who loses what is beyond.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "daemon/serve/hub.h"
#include "daemon/serve/size_in_memory.h"

namespace startscope {
namespace {

constexpr size_t kQueueBytes = 1 << 20;
constexpr size_t kText = 10'000;
// The text, and what else a startup and its place in a queue take.
constexpr size_t kMostOfOne = kText + 2'000;

class QueueBytes : public ::testing::Test {
 protected:
  QueueBytes()
      : hub_({.queue_items = 100'000, .queue_bytes = kQueueBytes, .kept_startups = 4}, &cgroups_) {}

  std::shared_ptr<Subscriber> Subscribe(WatchMask mask, bool progress = false) {
    return hub_.Subscribe(mask, *StartupFilter::Create({}, {}, {.privileged = true}), progress);
  }

  std::shared_ptr<Startup> MakeStartup(size_t bytes = kText) {
    auto startup = std::make_shared<Startup>();
    startup->startup_id = std::to_string(++made_);
    startup->temperature_evidence.assign(bytes, 'x');
    return startup;
  }

  // Startups, by id, and how many were told as lost.
  struct Taken {
    std::vector<std::string> ids;
    uint64_t lost = 0;
  };
  static Taken TakeAll(Subscriber* from) {
    Taken taken;
    while (const auto item = from->Pop(absl::ZeroDuration())) {
      if (const auto* finished = std::get_if<FinishedItem>(&*item)) {
        taken.ids.push_back(finished->startup->startup_id);
      } else if (const auto* lost = std::get_if<LostItem>(&*item)) {
        taken.lost += lost->count;
      }
    }
    return taken;
  }

  CgroupResolver cgroups_;
  Hub hub_;
  int made_ = 0;
};

TEST_F(QueueBytes, WhoDoesNotReadLosesItsOldestAndIsTold) {
  const auto subscriber = Subscribe(1);
  for (int i = 0; i < 1000; ++i) hub_.OnFinished(1, MakeStartup());
  const Taken taken = TakeAll(subscriber.get());
  EXPECT_EQ(taken.ids.size() + taken.lost, 1000u);
  EXPECT_LE(taken.ids.size() * kText, kQueueBytes);
  EXPECT_GE(taken.ids.size() * kMostOfOne, kQueueBytes / 2);
  EXPECT_EQ(taken.ids.back(), "1000");
  EXPECT_EQ(taken.ids.front(), std::to_string(taken.lost + 1));
  EXPECT_EQ(hub_.unsent().queues_too_large.startups, taken.lost);
  EXPECT_EQ(hub_.unsent().queue_full.startups, 0u);
}

TEST_F(QueueBytes, WhoReadsLosesNothingToThoseWhoDoNot) {
  std::vector<std::shared_ptr<Subscriber>> idle;
  for (int i = 0; i < 20; ++i) idle.push_back(Subscribe(WatchMask{1} << (i % 3)));
  const auto reader = Subscribe(1);
  size_t read = 0;
  for (int i = 0; i < 500; ++i) {
    for (WatchMask mask : {1, 2, 4}) hub_.OnFinished(mask, MakeStartup());
    if (i % 2 == 1) read += TakeAll(reader.get()).ids.size();
  }
  EXPECT_EQ(read, 500u);
  EXPECT_EQ(reader->dropped(), 0u);
  for (const auto& subscriber : idle) EXPECT_GT(subscriber->dropped(), 0u);
}

TEST_F(QueueBytes, WhatWaitsForManyIsCountedOnce) {
  std::vector<std::shared_ptr<Subscriber>> subscribers;
  for (int i = 0; i < 50; ++i) subscribers.push_back(Subscribe(1));
  // Fifty times over it would be too much.
  for (int i = 0; i < 60; ++i) hub_.OnFinished(1, MakeStartup());
  for (const auto& subscriber : subscribers) EXPECT_EQ(TakeAll(subscriber.get()).ids.size(), 60u);
  EXPECT_EQ(hub_.unsent().queues_too_large.startups, 0u);
}

TEST_F(QueueBytes, WhatWasTakenOrLeftMakesRoom) {
  const auto reader = Subscribe(1);
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 60; ++i) hub_.OnFinished(1, MakeStartup());
    EXPECT_EQ(TakeAll(reader.get()).ids.size(), 60u);
    auto gone = Subscribe(2);
    for (int i = 0; i < 60; ++i) hub_.OnFinished(2, MakeStartup());
    hub_.Unsubscribe(gone);
    gone.reset();
    const auto parked = Subscribe(2);
    for (int i = 0; i < 60; ++i) hub_.OnFinished(2, MakeStartup());
    hub_.Park(parked);
  }
  EXPECT_EQ(hub_.unsent().queues_too_large.startups, 0u);
}

TEST_F(QueueBytes, WhatIsLargerThanAllStillComesAndDrivesNobodyElseBelowItsShare) {
  const auto large = Subscribe(1);
  const auto small = Subscribe(2);
  for (int i = 0; i < 10; ++i) hub_.OnFinished(2, MakeStartup());
  for (int i = 0; i < 3; ++i) hub_.OnFinished(1, MakeStartup(3 * kQueueBytes));
  EXPECT_EQ(TakeAll(large.get()).ids.size(), 1u);
  EXPECT_EQ(large->dropped(), 2u);
  EXPECT_EQ(TakeAll(small.get()).ids.size(), 10u);
}

TEST_F(QueueBytes, ProgressIsDroppedWithoutBeingALoss) {
  const auto subscriber = Subscribe(1, /*progress=*/true);
  for (int i = 0; i < 1000; ++i) hub_.OnStarted(1, *MakeStartup());
  EXPECT_EQ(TakeAll(subscriber.get()).lost, 0u);
  EXPECT_GT(hub_.unsent().queues_too_large.messages, 0u);
  EXPECT_EQ(hub_.unsent().queues_too_large.startups, 0u);
}

TEST_F(QueueBytes, TheRingOfFinishedStartupsIsBoundedByItsSizeToo) {
  Hub hub({.kept_startups = 1000, .kept_bytes = 100'000}, &cgroups_);
  for (int i = 0; i < 100; ++i) hub.OnFinished(1, MakeStartup());
  EXPECT_LE(hub.kept() * kText, 100'000u);
  EXPECT_GE(hub.kept() * kMostOfOne, 80'000u);
  EXPECT_EQ(hub.evicted(), 100 - hub.kept());
  EXPECT_EQ(hub.evicted_for_bytes(), 100 - hub.kept());
  EXPECT_NE(hub.Get("100"), nullptr);
  hub.OnFinished(1, MakeStartup(1'000'000));
  EXPECT_EQ(hub.kept(), 1u);
}

}  // namespace
}  // namespace startscope
