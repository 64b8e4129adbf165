// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Test helper: evidence of one thread's time, and how its phases' time was split and blamed.

#ifndef STARTSCOPE_TESTS_UNIT_MODEL_TIME_TESTING_H_
#define STARTSCOPE_TESTS_UNIT_MODEL_TIME_TESTING_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "daemon/model/time_ledger.h"

namespace startscope {

// Evidence of process 42, whose startup begins at 1,000 and whose exec is over at 1,100. Times
// below are offsets from the begin.
class TimeScript {
 public:
  static constexpr uint64_t kBegin = 1000;
  static constexpr uint32_t kPid = 42;

  TimeScript() {
    evidence.pid = kPid;
    evidence.exec.begin_boottime_ns = kBegin;
    evidence.exec_boottime_ns = kBegin + 100;
    sources.faults_timed = true;
    sources.waits = true;
    sources.calls = true;
    sources.samples = true;
    sources.sample_period_ns = 50;
    names.of_fault = [this](size_t index) -> std::string_view { return fault_paths[index]; };
    names.of_file = [this](const FileId& file) -> std::string_view {
      if (file.inode == 0) return {};
      return file_paths.try_emplace(file.inode, "/file" + std::to_string(file.inode))
          .first->second;
    };
  }

  // Consecutive slices of these lengths; the startup ends where the last one does.
  TimeScript& Phases(const std::vector<std::pair<Phase, uint64_t>>& lengths) {
    uint64_t offset = 0;
    for (const auto& [phase, length] : lengths) {
      PhaseSlice slice;
      slice.phase = phase;
      slice.offset_ns = offset;
      slice.duration_ns = length;
      slices.push_back(slice);
      offset += length;
    }
    end.boottime_ns = kBegin + offset;
    return *this;
  }

  // The scheduler's figures at the end.
  TimeScript& Ends(const Counters& counters = {}) {
    end.counters = counters;
    return *this;
  }

  TimeScript& Fault(uint64_t from, uint64_t until, bool major = false, const std::string& path = "",
                    uint32_t tid = kPid, uint64_t off_cpu_ns = 0, uint64_t run_delay_ns = 0) {
    FaultEvent fault;
    fault.completed = true;
    fault.major = major;
    fault.entry_boottime_ns = kBegin + from;
    fault.fault_off_cpu_ns = off_cpu_ns;
    fault.fault_run_delay_ns = run_delay_ns;
    evidence.faults.push_back({kBegin + until, tid, fault});
    fault_paths.push_back(path);
    return *this;
  }

  // Out of the CPU from `out` to `back`; `woken` 0: not seen.
  TimeScript& Wait(uint64_t out, uint64_t back, WaitReason reason, uint64_t woken = 0,
                   uint32_t tid = kPid) {
    WaitEvent wait;
    wait.out_boottime_ns = kBegin + out;
    wait.wake_boottime_ns = woken == 0 ? 0 : kBegin + woken;
    wait.reason = reason;
    evidence.waits.push_back({kBegin + back, tid, wait});
    return *this;
  }

  TimeScript& Call(uint64_t from, uint64_t until, uint32_t tid = kPid) {
    SyscallEvent call;
    call.entry_boottime_ns = kBegin + from;
    evidence.calls.push_back({kBegin + until, tid, call});
    return *this;
  }

  TimeScript& Sample(uint64_t at, bool after_cpuid, uint32_t tid = kPid) {
    SampleEvent sample;
    sample.after_cpuid = after_cpuid;
    evidence.samples.push_back({kBegin + at, tid, sample});
    return *this;
  }

  TimeScript& Mark(uint64_t at, const Counters& counters) {
    MarkEvent mark;
    mark.now = counters;
    evidence.marks.push_back({kBegin + at, kPid, mark});
    return *this;
  }

  TimeScript& PagesRead(uint64_t at, uint64_t inode, uint32_t tid = kPid) {
    PagesReadEvent read;
    read.first_boottime_ns = kBegin + at;
    read.file = {8, 1, inode};
    read.pages = 1;
    evidence.pages_read.push_back({kBegin + at, tid, read});
    return *this;
  }

  void Run() {
    TimeRoom room;
    AccountTime(evidence, end, sources, names, &room, &slices);
  }

  using Blame = std::map<std::pair<TimeReason, std::string>, uint64_t>;
  [[nodiscard]] Blame BlameOf(size_t slice) const {
    Blame blame;
    for (const TimeShare& share : slices[slice].blame) {
      blame[{share.reason, share.object}] += share.duration_ns;
    }
    return blame;
  }

  // Every nanosecond has one reason, and on-CPU, queued and blocked make up the phase.
  void ExpectExact() const {
    for (const PhaseSlice& slice : slices) {
      uint64_t sum = 0;
      std::map<std::pair<TimeReason, std::string>, int> seen;
      for (const TimeShare& share : slice.blame) {
        EXPECT_NE(share.reason, TimeReason::kUnspecified);
        EXPECT_GT(share.duration_ns, 0u);
        EXPECT_EQ(++(seen[{share.reason, share.object}]), 1);
        sum += share.duration_ns;
      }
      EXPECT_EQ(sum, slice.duration_ns);
      EXPECT_EQ(slice.on_cpu_ns.has_value(), slice.runqueue_ns.has_value());
      EXPECT_EQ(slice.on_cpu_ns.has_value(), slice.blocked_ns.has_value());
      if (slice.on_cpu_ns) {
        EXPECT_EQ(*slice.on_cpu_ns + *slice.runqueue_ns + *slice.blocked_ns, slice.duration_ns);
      }
    }
  }

  Evidence evidence;
  End end;
  TimeSources sources;
  FileNames names;
  std::vector<std::string> fault_paths;
  std::map<uint64_t, std::string> file_paths;  // by inode, once asked for
  std::vector<PhaseSlice> slices;
};

}  // namespace startscope

#endif  // STARTSCOPE_TESTS_UNIT_MODEL_TIME_TESTING_H_
