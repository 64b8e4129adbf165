// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Whole startups from evidence at random: all kinds of records, of several threads, late,
// contradicting each other, with counters that go back or wrap. What is told still adds up.

#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <random>
#include <string>

#include "tests/unit/model/scripted_startup.h"

namespace startscope {
namespace {

constexpr uint64_t kPage = 4096;

void ExpectAddsUp(const Startup& startup) {
  uint64_t end = 0, minor = 0, major = 0, blamed = 0;
  for (const PhaseSlice& slice : startup.phases) {
    EXPECT_EQ(slice.offset_ns, end);
    end += slice.duration_ns;
    minor += slice.minor_faults.value();
    major += slice.major_faults.value();
    if (slice.on_cpu_ns) {
      EXPECT_EQ(*slice.on_cpu_ns + *slice.runqueue_ns + *slice.blocked_ns, slice.duration_ns);
      EXPECT_LE(slice.compute_ns.value_or(0), *slice.on_cpu_ns);
    }
    uint64_t of_slice = 0;
    for (const TimeShare& share : slice.blame) {
      EXPECT_NE(share.reason, TimeReason::kUnspecified);
      EXPECT_EQ(share.object.empty() || share.reason == TimeReason::kBlockedIo, true);
      of_slice += share.duration_ns;
    }
    EXPECT_EQ(of_slice, slice.duration_ns);
  }
  for (const TimeShare& share : startup.blame) blamed += share.duration_ns;
  EXPECT_EQ(end, startup.total_ns);
  EXPECT_EQ(blamed, startup.total_ns);
  EXPECT_EQ(minor, startup.faults.minor);
  EXPECT_EQ(major, startup.faults.major);
}

void ExpectObjectsAddUp(const Startup& startup) {
  ASSERT_TRUE(startup.unattributed);
  uint64_t faults = startup.unattributed->minor + startup.unattributed->major;
  for (const MappedObject& object : startup.objects) {
    faults += object.minor_faults + object.major_faults;
    EXPECT_LE(object.pages_touched.value_or(0), object.minor_faults + object.major_faults);
    EXPECT_LE(object.pages_dirtied.value_or(0), object.pages_touched.value_or(0));
  }
  EXPECT_EQ(faults, *startup.faults.minor + *startup.faults.major);
}

void ExpectTimelineInOrder(const Startup& startup) {
  ASSERT_TRUE(startup.timeline);
  uint64_t last = 0;
  for (const TimelineEntry& entry : startup.timeline->entries) {
    EXPECT_GE(entry.offset_ns, last);
    EXPECT_LE(entry.offset_ns, startup.total_ns);
    last = entry.offset_ns;
    if (const auto* fault = std::get_if<FaultEntry>(&entry.entry)) {
      EXPECT_TRUE(fault->object == kNoIndex || fault->object < startup.timeline->objects.size());
      EXPECT_TRUE(fault->ip_object == kNoIndex ||
                  fault->ip_object < startup.timeline->objects.size());
    }
  }
}

class AnyEvidence {
 public:
  AnyEvidence(uint64_t seed, bool honest_counts) : random_(seed), honest_(honest_counts) {
    ModelOptions options;
    options.facts_patience_ns = 0;
    if (Chance(8)) options.evidence.faults = 5;
    if (Chance(8)) options.evidence.mappings = 3;
    if (Chance(8)) options.evidence.waits = 2;
    if (Chance(8)) options.max_records = 20;
    if (Chance(8)) options.max_objects = 2;
    model_ = std::make_unique<StartupModel>(options, &seen_, &seen_);
    terms_.level = static_cast<Level>(1 + random_() % 3);
    terms_.precision = Chance(2) ? Precision::kExact : Precision::kUnperturbed;
    terms_.until_exit = true;
    terms_.waits = Chance(2);
    terms_.syscalls = Chance(2);
    terms_.samples = Chance(2);
    terms_.deadline_ns = 1'000'000;
    model_->SetWatch(0, terms_);
    Script script(model_.get());
    const bool dynamic = Chance(2);
    if (!Chance(4)) {
      script.Image(kExecutable, static_cast<Libc>(1 + random_() % 3),
                   dynamic ? Linkage::kDynamic : Linkage::kStatic,
                   {MarkKind::kEntry, MarkKind::kMain});
    }
    if (!Chance(4)) script.MapImages(50, dynamic);
    script.Exec(100, 0, dynamic);
    counters_.minor_faults = 7;  // as the script begins
    counters_.major_faults = 1;
    for (int step = 0; step < 60; ++step) Send(static_cast<uint64_t>(step) * 20 + 100);
    if (Chance(4)) {
      model_->AdvanceTo(Script::kOrigin + 1'000'000);  // its end was never seen
    } else {
      ExitEvent exit;
      Disturb();
      exit.now = counters_;
      At(1400, 42, exit);
    }
  }

  Recorder& seen() { return seen_; }
  const WatchTerms& terms() const { return terms_; }

 private:
  bool Chance(uint64_t of) { return random_() % of == 0; }

  uint64_t Around(uint64_t at, uint64_t before) {
    return Chance(8) ? 0 : Script::kOrigin + at - random_() % before;
  }

  // What the kernel counts goes on, or does what it never should.
  void Disturb() {
    counters_.off_cpu_ns += random_() % 40;
    counters_.run_delay_ns += random_() % 20;
    counters_.voluntary_switches += random_() % 2;
    counters_.read_bytes += Chance(4) ? 4096 : 0;
    if (!honest_ && Chance(6)) counters_.off_cpu_ns = UINT64_MAX - random_() % 30;
    if (!honest_ && Chance(6)) counters_.run_delay_ns = UINT32_MAX - random_() % 30;
    if (!honest_ && Chance(6)) counters_.read_bytes = random_() % 3;
    if (!honest_ && Chance(6)) counters_.throttled_ns = random_();
    if (!honest_ && Chance(10))
      counters_.minor_faults -= std::min<uint64_t>(counters_.minor_faults, 3);
    if (!honest_ && Chance(10)) counters_.major_faults += UINT32_MAX;
  }

  void Send(uint64_t base) {
    const uint64_t at = base + random_() % 300;
    const uint32_t tid = Chance(4) ? 43 : 42;
    const uint64_t address =
        Chance(2) ? 0x400000 + random_() % 0x4000 : kLibcBase + random_() % 0x9000;
    Disturb();
    switch (random_() % 8) {
      case 0: {
        MarkEvent mark;
        mark.kind = static_cast<MarkKind>(1 + random_() % 13);
        mark.image = static_cast<uint32_t>(kExecutable.inode);
        mark.now = counters_;
        return At(at, 42, mark);
      }
      case 1: {
        MappingEvent mapping;
        mapping.file = Chance(3) ? FileId{} : (Chance(2) ? kLibc : kExecutable);
        mapping.address = kLibcBase + random_() % 8 * kPage;
        mapping.size_bytes = random_() % 6 * kPage;
        mapping.prot = random_() % 8;
        mapping.path = "/lib/x.so";
        return At(at, tid, mapping);
      }
      case 2: {
        WaitEvent wait;
        wait.out_boottime_ns = Around(at, 100);
        wait.wake_boottime_ns = Around(at, 100);
        wait.reason = static_cast<WaitReason>(random_() % 4);
        return At(at, tid, wait);
      }
      case 3: {
        constexpr uint32_t kNumbers[] = {SYS_mmap, SYS_munmap,   SYS_mremap,
                                         SYS_brk,  SYS_mprotect, 0};
        SyscallEvent call;
        call.entry_boottime_ns = Around(at, 100);
        call.number = kNumbers[random_() % 6];
        call.result = Chance(4) ? -12 : static_cast<int64_t>(kLibcBase + random_() % 8 * kPage);
        call.args[0] = Chance(16) ? random_() : kLibcBase + random_() % 8 * kPage;
        call.args[1] = Chance(16) ? random_() : random_() % 6 * kPage;
        call.args[2] = random_() % 6 * kPage;
        return At(at, tid, call);
      }
      case 4:
        return At(at, tid, SampleEvent{address, false, Chance(2)});
      case 5: {
        PagesReadEvent read;
        read.first_boottime_ns = Around(at, 50);
        read.file = kLibc;
        read.pages = random_() % 9;
        return At(at, tid, read);
      }
      default: {
        FaultEvent fault;
        fault.address = address;
        fault.ip = kEntryAddress;
        fault.entry_boottime_ns = Around(at, 50);
        fault.completed = !Chance(8);
        fault.major = Chance(4);
        fault.access_known = !Chance(4);
        fault.instruction_fetch = Chance(3);
        fault.write = !fault.instruction_fetch && Chance(2);
        fault.off_cpu_ns = counters_.off_cpu_ns;
        fault.run_delay_ns = counters_.run_delay_ns;
        fault.fault_off_cpu_ns = random_() % 60;
        fault.fault_run_delay_ns = random_() % 60;
        ++(fault.major ? counters_.major_faults : counters_.minor_faults);
        return At(at, tid, fault);
      }
    }
  }

  template <typename Payload>
  void At(uint64_t at, uint32_t tid, Payload payload) {
    Event event;
    event.boottime_ns = Script::kOrigin + at;
    event.pid = 42;
    event.tid = tid;
    event.payload = std::move(payload);
    model_->OnEvent(event);
  }

  std::mt19937_64 random_;
  const bool honest_;
  Recorder seen_;
  WatchTerms terms_;
  std::unique_ptr<StartupModel> model_;
  Counters counters_;
};

void ExpectSumsOverRounds(bool honest_counts) {
  for (uint64_t round = 0; round < 3000; ++round) {
    AnyEvidence any(round, honest_counts);
    ASSERT_EQ(any.seen().finished.size(), 1u);
    const Startup& startup = *any.seen().finished[0].second;
    ExpectAddsUp(startup);
    if (any.terms().level >= Level::kObjects) ExpectObjectsAddUp(startup);
    if (any.terms().level >= Level::kPages) ExpectTimelineInOrder(startup);
    ASSERT_FALSE(::testing::Test::HasFailure()) << "round " << round;
  }
}

TEST(AnyEvidenceTest, AddsUpWhileTheKernelCountsOn) { ExpectSumsOverRounds(true); }

TEST(AnyEvidenceTest, AddsUpWhenCountersGoBackOrWrap) { ExpectSumsOverRounds(false); }

}  // namespace
}  // namespace startscope
