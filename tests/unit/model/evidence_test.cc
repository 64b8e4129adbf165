// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/evidence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "daemon/model/mark_names.h"

namespace startscope {
namespace {

using ::testing::ElementsAre;

template <typename Payload>
Event At(uint64_t boottime_ns, Payload payload, uint32_t tid = 42) {
  Event event;
  event.boottime_ns = boottime_ns;
  event.pid = 42;
  event.tid = tid;
  event.payload = std::move(payload);
  return event;
}

template <typename T>
std::vector<uint64_t> Times(const std::vector<Timed<T>>& list) {
  std::vector<uint64_t> times;
  for (const Timed<T>& timed : list) times.push_back(timed.boottime_ns);
  return times;
}

// One record of each kind that has a list, all at the same time.
std::vector<Event> OneOfEach(uint64_t boottime_ns) {
  return {At(boottime_ns, FaultEvent{}), At(boottime_ns, MappingEvent{}),
          At(boottime_ns, MarkEvent{}),  At(boottime_ns, PagesReadEvent{}),
          At(boottime_ns, WaitEvent{}),  At(boottime_ns, SyscallEvent{}),
          At(boottime_ns, SampleEvent{})};
}

TEST(EvidenceTest, EachKindHasItsList) {
  Evidence evidence;
  for (const Event& event : OneOfEach(5)) EXPECT_TRUE(evidence.Add(event, {}, false));
  EXPECT_EQ(evidence.faults.size(), 1u);
  EXPECT_EQ(evidence.mappings.size(), 1u);
  EXPECT_EQ(evidence.marks.size(), 1u);
  EXPECT_EQ(evidence.pages_read.size(), 1u);
  EXPECT_EQ(evidence.waits.size(), 1u);
  EXPECT_EQ(evidence.calls.size(), 1u);
  EXPECT_EQ(evidence.samples.size(), 1u);
  EXPECT_EQ(evidence.kept, 7u);
  EXPECT_EQ(evidence.records, 6u);  // mappings are of the side-band
}

TEST(EvidenceTest, OtherKindsAreRefused) {
  Evidence evidence;
  EXPECT_FALSE(evidence.Add(At(5, std::make_shared<const ExecEvent>()), {}, false));
  EXPECT_FALSE(evidence.Add(At(5, ForkEvent{}), {}, false));
  EXPECT_FALSE(evidence.Add(At(5, LostEvent{}), {}, true));
  EXPECT_FALSE(evidence.Add(At(5, std::monostate{}), {}, false));
  EXPECT_EQ(evidence.kept, 0u);
  EXPECT_EQ(evidence.records, 0u);
  EXPECT_EQ(evidence.not_kept.total(), 0u);
}

TEST(EvidenceTest, LateRecordsGoToTheirPlaceAndEqualTimesKeepTheirOrder) {
  Evidence evidence;
  const std::pair<uint64_t, uint32_t> arrivals[] = {{10, 1}, {30, 2}, {20, 3},
                                                    {30, 4}, {5, 5},  {20, 6}};
  for (const auto& [time, tid] : arrivals) evidence.Add(At(time, WaitEvent{}, tid), {}, false);
  EXPECT_THAT(Times(evidence.waits), ElementsAre(5, 10, 20, 20, 30, 30));
  std::vector<uint32_t> tids;
  for (const auto& wait : evidence.waits) tids.push_back(wait.tid);
  EXPECT_THAT(tids, ElementsAre(5, 1, 3, 6, 2, 4));
}

TEST(EvidenceTest, EachListHasItsOwnBound) {
  EvidenceLimits limits;
  limits.faults = 1;
  limits.mappings = 2;
  limits.marks = 3;
  limits.pages_read = 4;
  limits.waits = 5;
  limits.calls = 6;
  limits.samples = 7;
  Evidence evidence;
  for (uint64_t i = 0; i < 10; ++i) {
    for (const Event& event : OneOfEach(i)) EXPECT_TRUE(evidence.Add(event, limits, false));
  }
  EXPECT_EQ(evidence.kept, 28u);
  EXPECT_EQ(evidence.not_kept.faults, 9u);
  EXPECT_EQ(evidence.not_kept.mappings, 8u);
  EXPECT_EQ(evidence.not_kept.marks, 7u);
  EXPECT_EQ(evidence.not_kept.pages_read, 6u);
  EXPECT_EQ(evidence.not_kept.waits, 5u);
  EXPECT_EQ(evidence.not_kept.calls, 4u);
  EXPECT_EQ(evidence.not_kept.samples, 3u);
  EXPECT_EQ(evidence.not_kept.total(), 42u);
  EXPECT_EQ(evidence.records, 60u);  // they came, kept or not
}

TEST(EvidenceTest, WhenAllStartupsTogetherAreFullNothingIsKept) {
  Evidence evidence;
  for (const Event& event : OneOfEach(1)) EXPECT_TRUE(evidence.Add(event, {}, /*full=*/true));
  EXPECT_EQ(evidence.kept, 0u);
  EXPECT_EQ(evidence.not_kept.total(), 7u);
}

TEST(EvidenceTest, TakesOutWhatCameSinceATime) {
  Evidence evidence;
  evidence.pid = 42;
  for (const uint64_t time : {10, 20, 30}) {
    for (const Event& event : OneOfEach(time)) evidence.Add(event, {}, false);
  }
  evidence.calls[1].value.path = "/moved";
  const std::vector<Event> taken = evidence.TakeSince(20);
  EXPECT_EQ(taken.size(), 12u);  // marks stay: they show boundaries of the image that was
  std::set<size_t> kinds;
  bool moved = false;
  for (const Event& event : taken) {
    EXPECT_GE(event.boottime_ns, 20u);
    EXPECT_EQ(event.pid, 42u);
    EXPECT_EQ(event.tid, 42u);
    kinds.insert(event.payload.index());
    const auto* call = std::get_if<SyscallEvent>(&event.payload);
    moved |= call != nullptr && call->path == "/moved";
  }
  EXPECT_EQ(kinds.size(), 6u);
  EXPECT_TRUE(moved);
  EXPECT_THAT(Times(evidence.faults), ElementsAre(10));
  EXPECT_THAT(Times(evidence.samples), ElementsAre(10));
  EXPECT_THAT(Times(evidence.marks), ElementsAre(10, 20, 30));
  EXPECT_TRUE(evidence.TakeSince(11).empty());
}

TEST(MarkNamesTest, EveryKindHasItsOwnName) {
  std::set<std::string> names;
  constexpr int kKinds = static_cast<int>(MarkKind::kDlclose);
  for (int kind = 1; kind <= kKinds; ++kind) {
    const std::string name = MarkName(static_cast<MarkKind>(kind));
    EXPECT_NE(name, "unknown") << kind;
    EXPECT_TRUE(names.insert(name).second) << name;
  }
  EXPECT_STREQ(MarkName(MarkKind::kNone), "unknown");
  EXPECT_STREQ(MarkName(static_cast<MarkKind>(127)), "unknown");  // of a later recording
}

TEST(MarkNamesTest, FunctionsAreCalledAsTheyAre) {
  EXPECT_STREQ(MarkName(MarkKind::kLibcStart), "__libc_start_main");
  EXPECT_STREQ(MarkName(MarkKind::kGoRuntimeMain), "runtime.main");
  EXPECT_STREQ(MarkName(MarkKind::kRustLangStart), "std::rt::lang_start");
  EXPECT_STREQ(MarkName(MarkKind::kDlopen), "dlopen");
}

}  // namespace
}  // namespace startscope
