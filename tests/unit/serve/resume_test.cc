// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "daemon/serve/held_watches.h"
#include "daemon/serve/hub.h"
#include "daemon/serve/resume_token.h"

namespace startscope {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr PeerIdentity kRoot{1, 0, 0, true};
constexpr PeerIdentity kUser{2, 1000, 1000, false};

std::shared_ptr<Startup> MakeStartup(const std::string& id, uint32_t uid = 0) {
  auto startup = std::make_shared<Startup>();
  startup->startup_id = id;
  startup->process.uid = uid;
  startup->process.euid = uid;
  return startup;
}

std::vector<std::string> Names(const std::vector<FinishedItem>& items) {
  std::vector<std::string> names;
  for (const FinishedItem& item : items) names.push_back(item.startup->startup_id);
  return names;
}

class HubResume : public ::testing::Test {
 protected:
  HubResume() : hub_({.queue_items = 64, .kept_startups = 4}, &cgroups_) {}

  static StartupFilter All(const PeerIdentity& peer) {
    return *StartupFilter::Create({}, {}, peer);
  }
  std::vector<std::string> Drain(Subscriber* subscriber) {
    std::vector<FinishedItem> items;
    while (auto item = subscriber->Pop(absl::ZeroDuration())) {
      if (auto* finished = std::get_if<FinishedItem>(&*item)) items.push_back(*finished);
    }
    return Names(items);
  }

  CgroupResolver cgroups_;
  Hub hub_;
};

TEST_F(HubResume, WhatWasMissedComesOldestFirstAndWhatFollowsIsLive) {
  for (const char* id : {"a", "b", "c"}) hub_.OnFinished(1, MakeStartup(id));
  const Subscription taken = hub_.Subscribe(1, All(kRoot), false, {.after = 1});
  hub_.OnFinished(1, MakeStartup("d"));
  EXPECT_THAT(Names(taken.past.items), ElementsAre("b", "c"));
  EXPECT_EQ(taken.past.gone, 0u);
  EXPECT_THAT(Drain(taken.subscriber.get()), ElementsAre("d"));
}

TEST_F(HubResume, WhatTheRingLostIsCounted) {
  for (int i = 1; i <= 10; ++i) hub_.OnFinished(1, MakeStartup(std::to_string(i)));
  const Subscription taken = hub_.Subscribe(1, All(kRoot), false, {.after = 2});
  EXPECT_THAT(Names(taken.past.items), ElementsAre("7", "8", "9", "10"));
  EXPECT_EQ(taken.past.gone, 4u);  // 3 to 6
  EXPECT_FALSE(taken.past.gone_matching.has_value());
  EXPECT_EQ(hub_.evicted(), 6u);
}

TEST_F(HubResume, OfAParkedWatchTheGoneAreCountedByItsOwnFilter) {
  const auto first = hub_.Subscribe(1, All(kUser), false);
  hub_.OnFinished(1, MakeStartup("1", 1000));
  EXPECT_THAT(Drain(first.get()), ElementsAre("1"));
  hub_.Park(first);
  for (int i = 2; i <= 9; ++i) hub_.OnFinished(1, MakeStartup(std::to_string(i), i % 2 ? 1000 : 0));
  const Subscription taken =
      hub_.Subscribe(1, All(kUser), false, {.after = first->position(), .parked = first});
  EXPECT_EQ(taken.past.gone, 4u);                     // 2 to 5
  EXPECT_EQ(taken.past.gone_matching.value_or(0), 2u);  // 3 and 5
  EXPECT_THAT(Names(taken.past.items), ElementsAre("7", "9"));
}

TEST_F(HubResume, WhatLeftTheRingBeforeTheCutWasNoticedIsCountedToo) {
  const auto first = hub_.Subscribe(1, All(kUser), false);
  for (int i = 1; i <= 9; ++i) hub_.OnFinished(1, MakeStartup(std::to_string(i), i % 2 ? 1000 : 0));
  hub_.Park(first);
  for (int i = 10; i <= 12; ++i) hub_.OnFinished(1, MakeStartup(std::to_string(i), 1000));
  const Subscription second =
      hub_.Subscribe(1, All(kUser), false, {.after = 1, .parked = first});
  EXPECT_EQ(second.past.gone, 7u);                     // 2 to 8
  EXPECT_EQ(second.past.gone_matching.value_or(0), 3u);  // 3, 5 and 7
  EXPECT_THAT(Names(second.past.items), ElementsAre("9", "10", "11", "12"));
  // Cut again before it read any of this.
  hub_.Park(second.subscriber);
  hub_.OnFinished(1, MakeStartup("13", 1000));
  const Subscription third =
      hub_.Subscribe(1, All(kUser), false, {.after = 1, .parked = second.subscriber});
  EXPECT_EQ(third.past.gone_matching.value_or(0), 4u);
  EXPECT_THAT(Names(third.past.items), ElementsAre("10", "11", "12", "13"));
}

TEST_F(HubResume, WhatIsTooLongAgoToBeRememberedIsNotCountedAsNone) {
  const auto first = hub_.Subscribe(1, All(kUser), false);
  hub_.Park(first);
  const auto startup = MakeStartup("1", 1000);
  for (uint64_t i = 0; i <= RecentSerials::kSpan; ++i) hub_.OnFinished(1, startup);
  const Subscription taken = hub_.Subscribe(1, All(kUser), false, {.after = 0, .parked = first});
  EXPECT_EQ(taken.past.gone, RecentSerials::kSpan - 3);
  EXPECT_FALSE(taken.past.gone_matching.has_value());
}

TEST(RecentSerials, CountsWhatWasAddedAndForgetsWhatIsOverwritten) {
  RecentSerials serials;
  for (const uint64_t serial : {1, 3, 4}) serials.Add(serial);
  EXPECT_EQ(serials.CountFrom(1, 4), 3u);
  EXPECT_EQ(serials.CountFrom(2, 9), 2u);
  serials.Add(RecentSerials::kSpan + 2);  // in the place of 2; 1 is overwritten
  EXPECT_EQ(serials.CountFrom(3, RecentSerials::kSpan + 2), 3u);
  serials.Add(4 * RecentSerials::kSpan);
  EXPECT_EQ(serials.CountFrom(3 * RecentSerials::kSpan + 1, 4 * RecentSerials::kSpan), 1u);
}

TEST_F(HubResume, OfAParkedWatchOnlyItsOwnStartupsAreReplayed) {
  const auto first = hub_.Subscribe(1, All(kRoot), false);
  hub_.Park(first);
  hub_.OnFinished(2, MakeStartup("another's"));
  hub_.OnFinished(3, MakeStartup("both's"));
  const Subscription taken = hub_.Subscribe(1, All(kRoot), false, {.after = 0, .parked = first});
  EXPECT_THAT(Names(taken.past.items), ElementsAre("both's"));
}

TEST_F(HubResume, LossesOfTheModelWhileParkedAreStillTold) {
  const auto first = hub_.Subscribe(1, All(kRoot), false);
  hub_.Park(first);
  hub_.OnLost(LossStage::kModel, 3);
  const Subscription taken = hub_.Subscribe(1, All(kRoot), false, {.after = 0, .parked = first});
  const auto item = taken.subscriber->Pop(absl::ZeroDuration());
  ASSERT_TRUE(item.has_value());
  EXPECT_EQ(std::get<LostItem>(*item).count, 3u);
}

TEST_F(HubResume, TheRecentOnesAreTheNewestThatTheCallerMaySee) {
  hub_.OnFinished(1, MakeStartup("a", 1000));
  hub_.OnFinished(1, MakeStartup("b", 1000));
  hub_.OnFinished(1, MakeStartup("root's", 0));
  EXPECT_THAT(Names(hub_.Subscribe(1, All(kUser), false, {.recent = 1}).past.items),
              ElementsAre("b"));
  EXPECT_THAT(Names(hub_.Subscribe(1, All(kUser), false, {.recent = 9}).past.items),
              ElementsAre("a", "b"));
}

TEST_F(HubResume, AStartupThatReachedMainIsNotReplayedAgainAtItsExit) {
  const auto first = hub_.Subscribe(1, All(kRoot), false);
  hub_.OnReached(1, MilestoneKind::kMain, MakeStartup("a"));
  EXPECT_THAT(Drain(first.get()), ElementsAre("a"));
  const uint64_t position = first->position();
  hub_.OnFinished(2, MakeStartup("a"));
  EXPECT_THAT(Names(hub_.Subscribe(4, All(kRoot), false, {.after = position}).past.items),
              IsEmpty());
  EXPECT_THAT(Names(hub_.Subscribe(4, All(kRoot), false, {.after = position, .until_exit = true})
                        .past.items),
              ElementsAre("a"));
  EXPECT_EQ(hub_.kept(), 1u);
}

TEST_F(HubResume, ThePositionWaitsForWhatIsQueued) {
  const auto subscriber = hub_.Subscribe(1, All(kRoot), false);
  hub_.OnFinished(1, MakeStartup("a"));
  hub_.OnFinished(2, MakeStartup("another's"));
  EXPECT_EQ(subscriber->position(), 0u);
  Drain(subscriber.get());
  EXPECT_EQ(subscriber->position(), 2u);
}

TEST(ResumeTokenTest, ComesBackAsItWasAndOthersAreRefused) {
  const ResumeToken token{"abc", 1, ~0ull, 3, 4};
  const auto back = ResumeToken::Parse(token.Format());
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->Format(), token.Format());
  EXPECT_EQ(back->watch, ~0ull);
  for (const char* bad : {"", "1", "2.abc.1.2.3.4", "1.abc.1.2.3", "1.abc.1.x.3.4"}) {
    EXPECT_FALSE(ResumeToken::Parse(bad).has_value()) << bad;
  }
}

class Held : public ::testing::Test {
 protected:
  HeldWatch Watch(uint64_t id, const PeerIdentity& peer = kRoot) {
    HeldWatch watch;
    watch.id = id;
    watch.peer = peer;
    watch.request = "request";
    return watch;
  }

  std::vector<uint64_t> released_;
};

TEST_F(Held, IsTakenOnceAndByItsOwnUserOnly) {
  {
    HeldWatches held([this](const HeldWatch& watch) { released_.push_back(watch.id); });
    const uint64_t id = held.Open(0, kRoot, [] {});
    ASSERT_TRUE(held.Close(Watch(id), absl::Hours(1)));
    EXPECT_FALSE(held.Take(Watch(id, kUser)).has_value());
    EXPECT_TRUE(held.Take(Watch(id)).has_value());
    EXPECT_FALSE(held.Take(Watch(id)).has_value());
  }
  EXPECT_THAT(released_, IsEmpty());
}

TEST_F(Held, WhatNobodyTakesIsReleased) {
  uint64_t id = 0;
  {
    HeldWatches held([this](const HeldWatch& watch) { released_.push_back(watch.id); });
    id = held.Open(0, kRoot, [] {});
    ASSERT_TRUE(held.Close(Watch(id), absl::Hours(1)));
  }
  EXPECT_THAT(released_, ElementsAre(id));
}

TEST_F(Held, AStreamWhoseClientWillNotComeBackIsNotHeld) {
  HeldWatches held([this](const HeldWatch& watch) { released_.push_back(watch.id); });
  const uint64_t id = held.Open(0, kRoot, [] {});
  held.End(id, kUser);  // not its own
  held.End(id, kRoot);
  EXPECT_FALSE(held.Close(Watch(id), absl::Hours(1)));
}

TEST_F(Held, AClientThatIsBackEarlyEndsItsOldStream) {
  HeldWatches held([this](const HeldWatch& watch) { released_.push_back(watch.id); });
  uint64_t id = 0;
  std::thread old;
  id = held.Open(0, kRoot, [&] {
    old = std::thread([&] { held.Close(Watch(id), absl::Hours(1)); });
  });
  EXPECT_TRUE(held.Take(Watch(id)).has_value());
  old.join();
}

}  // namespace
}  // namespace startscope
