// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/time_ledger.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/container/inlined_vector.h"

namespace startscope {
namespace {

uint64_t Delta(uint64_t later, uint64_t earlier) { return later > earlier ? later - earlier : 0; }

TimeSpan SpanOf(const PhaseSlice& slice, uint64_t origin) {
  return {origin + slice.offset_ns, origin + slice.offset_ns + slice.duration_ns};
}

// A spell off the CPU, cut into blocked and waiting for a CPU.
struct Spell {
  TimeSpan blocked;
  TimeSpan queued;
  WaitReason reason = WaitReason::kUnspecified;
};

std::vector<Spell> SpellsOf(const Evidence& evidence) {
  std::vector<Spell> spells;
  for (const auto& wait : evidence.waits) {
    if (wait.tid != evidence.pid) continue;
    const WaitEvent& value = wait.value;
    const uint64_t out = value.out_boottime_ns;
    const uint64_t back = wait.boottime_ns;
    if (out == 0 || out > back) continue;
    uint64_t woken = value.wake_boottime_ns;
    if (value.reason == WaitReason::kPreempted) woken = out;
    if (woken == 0 || woken > back) woken = back;
    woken = std::max(woken, out);
    spells.push_back({{out, woken}, {woken, back}, value.reason});
  }
  return spells;
}

template <typename T>
uint64_t LastOf(uint32_t tid, const std::vector<Timed<T>>& list) {
  const auto last = std::find_if(list.rbegin(), list.rend(),
                                 [tid](const Timed<T>& timed) { return timed.tid == tid; });
  return last == list.rend() ? 0 : last->boottime_ns;
}

// Until when it is known what the main thread did. A startup that ends by itself ends with a
// reading; another may end inside a wait, which would be recorded only when it is over.
uint64_t SeenUntil(const Evidence& evidence, const End& end) {
  if (end.counters) return end.boottime_ns;
  const uint32_t tid = evidence.pid;
  return std::max({evidence.exec_boottime_ns, LastOf(tid, evidence.faults),
                   LastOf(tid, evidence.mappings), LastOf(tid, evidence.marks),
                   LastOf(tid, evidence.pages_read), LastOf(tid, evidence.waits),
                   LastOf(tid, evidence.calls), LastOf(tid, evidence.samples)});
}

void SplitByWaits(const TimeSpan& span, const std::vector<Spell>& spells, PhaseSlice* slice) {
  uint64_t blocked = 0;
  uint64_t queued = 0;
  for (const Spell& spell : spells) {
    blocked += spell.blocked.Overlap(span.begin, span.end);
    queued += spell.queued.Overlap(span.begin, span.end);
  }
  blocked = std::min(blocked, slice->duration_ns);
  queued = std::min(queued, slice->duration_ns - blocked);
  slice->blocked_ns = blocked;
  slice->runqueue_ns = queued;
  slice->on_cpu_ns = slice->duration_ns - blocked - queued;
}

void SplitByReadings(const TimeSpan& span, const TimeReadings& readings, PhaseSlice* slice) {
  const auto off_cpu = readings.OffCpuIn(span);
  if (!off_cpu) return;
  const uint64_t off = std::min(off_cpu->off_ns, slice->duration_ns);
  uint64_t runqueue = std::min(off_cpu->queued_ns, off);
  // A thread that never gave up its CPU was not blocked: what else it was off it, it was runnable.
  if (off != 0 && readings.RiseIn(span, &Counters::voluntary_switches) == 0u) runqueue = off;
  slice->on_cpu_ns = slice->duration_ns - off;
  slice->runqueue_ns = runqueue;
  slice->blocked_ns = off - runqueue;
}

void AddSpells(const Evidence& evidence, const std::vector<Spell>& spells, const FileNames& names,
               std::vector<TimeActivity>* activities) {
  const ReadFinder finder(evidence, names);
  for (const Spell& spell : spells) {
    if (spell.blocked.length() != 0) {
      TimeActivity blocked(spell.blocked, TimeLayer::kSpell, TimeReason::kBlockedOther);
      if (spell.reason == WaitReason::kIo) {
        blocked.reason = TimeReason::kBlockedIo;
        blocked.object = finder.FileOf(spell.blocked.begin, spell.blocked.end);
      }
      activities->push_back(blocked);
    }
    if (spell.queued.length() != 0) {
      activities->emplace_back(spell.queued, TimeLayer::kSpell, TimeReason::kRunQueue);
    }
  }
}

void AddActivities(const Evidence& evidence, const End& end, const TimeSources& sources,
                   const std::vector<Spell>& spells, uint64_t seen_until, const FileNames& names,
                   std::vector<TimeActivity>* activities) {
  if (sources.waits) AddSpells(evidence, spells, names, activities);
  if (sources.waits && seen_until < end.boottime_ns) {
    activities->emplace_back(TimeSpan{seen_until, end.boottime_ns}, TimeLayer::kBase,
                             TimeReason::kUnexplained);
  }
  if (sources.faults_timed) activities->reserve(activities->size() + evidence.faults.size());
  for (size_t i = 0; sources.faults_timed && i < evidence.faults.size(); ++i) {
    const auto& fault = evidence.faults[i];
    const FaultEvent& value = fault.value;
    if (fault.tid != evidence.pid || !value.completed || value.entry_boottime_ns == 0 ||
        value.entry_boottime_ns > fault.boottime_ns) {
      continue;
    }
    TimeActivity activity({value.entry_boottime_ns, fault.boottime_ns}, TimeLayer::kFault,
                          value.major ? TimeReason::kMajorFault : TimeReason::kMinorFault);
    if (!sources.waits) {
      const uint64_t off = std::min(value.fault_off_cpu_ns, activity.span.length());
      activity.queued_ns = std::min(value.fault_run_delay_ns, off);
      activity.blocked_ns = off - activity.queued_ns;
      if (value.major) {
        activity.blocked_reason = TimeReason::kBlockedIo;
        activity.object = names.of_fault(i);
      }
    }
    activities->push_back(activity);
  }
  for (const auto& call : evidence.calls) {
    if (!sources.calls || call.tid != evidence.pid) continue;
    if (call.value.entry_boottime_ns == 0 || call.value.entry_boottime_ns > call.boottime_ns) {
      continue;
    }
    activities->emplace_back(TimeSpan{call.value.entry_boottime_ns, call.boottime_ns},
                             TimeLayer::kCall, TimeReason::kSyscall);
  }
  std::erase_if(*activities, [](const TimeActivity& one) { return one.span.length() == 0; });
}

// Time by reason and object. There are few of them.
class ShareSums {
 public:
  uint64_t& operator[](const std::pair<TimeReason, std::string_view>& key) {
    for (Sum& sum : sums_) {
      if (sum.key.first == key.first && sum.key.second == key.second) return sum.duration_ns;
    }
    return sums_.emplace_back(Sum{key, 0}).duration_ns;
  }
  // The largest first.
  [[nodiscard]] std::vector<TimeShare> Take() {
    const auto empty = [](const Sum& sum) { return sum.duration_ns == 0; };
    sums_.erase(std::remove_if(sums_.begin(), sums_.end(), empty), sums_.end());
    std::sort(sums_.begin(), sums_.end(), [](const Sum& a, const Sum& b) {
      return a.duration_ns != b.duration_ns ? a.duration_ns > b.duration_ns : a.key < b.key;
    });
    std::vector<TimeShare> shares;
    shares.reserve(sums_.size());
    for (const Sum& sum : sums_) {
      shares.push_back({sum.key.first, sum.duration_ns, std::string(sum.key.second)});
    }
    return shares;
  }

 private:
  static constexpr size_t kUsualReasons = 8;
  struct Sum {
    std::pair<TimeReason, std::string_view> key;
    uint64_t duration_ns = 0;
  };
  absl::InlinedVector<Sum, kUsualReasons> sums_;
};

// Shares of one slice, kept so that they never exceed its duration.
class Shares {
 public:
  explicit Shares(uint64_t duration_ns) : left_ns_(duration_ns) {}

  void Add(TimeReason reason, uint64_t duration_ns, std::string_view object = {}) {
    duration_ns = std::min(duration_ns, left_ns_);
    if (duration_ns == 0) return;
    left_ns_ -= duration_ns;
    sums_[{reason, object}] += duration_ns;
  }
  // Moves time from one reason to another.
  void Move(TimeReason from, TimeReason to, uint64_t duration_ns) {
    duration_ns = std::min(duration_ns, sums_[{from, {}}]);
    sums_[{from, {}}] -= duration_ns;
    sums_[{to, {}}] += duration_ns;
  }
  [[nodiscard]] std::vector<TimeShare> Take() {
    Add(TimeReason::kUnexplained, left_ns_);
    return sums_.Take();
  }

 private:
  uint64_t left_ns_;
  ShareSums sums_;
};

// Time in activities, without recorded waits: each one's off-CPU part comes from its own figures.
void AddWithoutWaits(const TimeActivity& activity, uint64_t piece_ns, Shares* shares,
                     uint64_t* queued_inside, uint64_t* blocked_inside) {
  if (activity.queued_ns == 0 && activity.blocked_ns == 0) {
    return shares->Add(activity.reason, piece_ns);
  }
  const uint64_t whole = std::max<uint64_t>(activity.span.length(), 1);
  // A slice may cut an activity: its off-CPU time is then shared out evenly.
  const auto part = [&](uint64_t ns) {
    return piece_ns >= whole ? ns
                             : static_cast<uint64_t>(static_cast<double>(ns) * piece_ns / whole);
  };
  const uint64_t queued = part(activity.queued_ns);
  const uint64_t blocked = part(activity.blocked_ns);
  shares->Add(TimeReason::kRunQueue, queued);
  shares->Add(activity.blocked_reason, blocked, activity.object);
  shares->Add(activity.reason, Delta(piece_ns, queued + blocked));
  *queued_inside += queued;
  *blocked_inside += blocked;
}

// Of what lies in no activity: from the slice's own figures, less what is known from inside
// activities. Returns how much of it the thread was running.
uint64_t AddBaseWithoutWaits(const PhaseSlice& slice, uint64_t base_ns, uint64_t queued_inside,
                             uint64_t blocked_inside, Shares* shares) {
  if (!slice.on_cpu_ns) return 0;  // all of it stays unexplained
  const uint64_t queued = std::min(Delta(*slice.runqueue_ns, queued_inside), base_ns);
  const uint64_t blocked = std::min(Delta(*slice.blocked_ns, blocked_inside), base_ns - queued);
  shares->Add(TimeReason::kRunQueue, queued);
  // Whether it waited for storage is not known; it did not if nothing was read.
  const bool nothing_read = slice.storage_bytes && *slice.storage_bytes == 0;
  shares->Add(nothing_read ? TimeReason::kBlockedOther : TimeReason::kUnexplained, blocked);
  return base_ns - queued - blocked;
}

uint64_t TimeInCpuid(const Evidence& evidence, const TimeSources& sources, const TimeSpan& span) {
  uint64_t in_cpuid_ns = 0;
  for (const auto& sample : evidence.samples) {
    const bool inside = sample.boottime_ns >= span.begin && sample.boottime_ns < span.end;
    if (sources.samples && inside && sample.tid == evidence.pid && sample.value.after_cpuid) {
      in_cpuid_ns += sources.sample_period_ns;
    }
  }
  return in_cpuid_ns;
}

}  // namespace

void AccountTime(const Evidence& evidence, const End& end, const TimeSources& sources,
                 const FileNames& names, TimeRoom* room, std::vector<PhaseSlice>* slices) {
  const uint64_t origin = evidence.exec.begin_boottime_ns;
  // Where waits are recorded, they say it all.
  room->readings.Read(evidence, end, sources.marks, /*faults=*/!sources.waits);
  const std::vector<Spell> spells = sources.waits ? SpellsOf(evidence) : std::vector<Spell>();
  const uint64_t seen_until = SeenUntil(evidence, end);
  room->activities.clear();
  AddActivities(evidence, end, sources, spells, seen_until, names, &room->activities);
  ActivitySweep sweep(&room->activities);
  for (PhaseSlice& slice : *slices) {
    const TimeSpan span = SpanOf(slice, origin);
    if (!sources.waits) {
      SplitByReadings(span, room->readings, &slice);
    } else if (span.end <= seen_until) {
      SplitByWaits(span, spells, &slice);
    }
    slice.storage_bytes = room->readings.RiseIn(span, &Counters::read_bytes);

    Shares shares(slice.duration_ns);
    uint64_t queued_inside = 0;
    uint64_t blocked_inside = 0;
    uint64_t running = sweep.Run(span, [&](const TimeActivity& activity, uint64_t piece_ns) {
      if (sources.waits) {
        shares.Add(activity.reason, piece_ns, activity.object);
      } else {
        AddWithoutWaits(activity, piece_ns, &shares, &queued_inside, &blocked_inside);
      }
    });
    if (!sources.waits) {
      running = AddBaseWithoutWaits(slice, running, queued_inside, blocked_inside, &shares);
    }
    const uint64_t in_cpuid = std::min(TimeInCpuid(evidence, sources, span), running);
    shares.Add(TimeReason::kCpuidTrap, in_cpuid);
    shares.Add(slice.phase == Phase::kKernelExec ? TimeReason::kKernelExec : TimeReason::kRunning,
               running - in_cpuid);
    const auto throttled = room->readings.RiseIn(span, &Counters::throttled_ns);
    if (throttled.value_or(0) != 0) {
      shares.Move(TimeReason::kRunQueue, TimeReason::kThrottled, *throttled);
    }
    slice.blame = shares.Take();
  }
}

std::vector<TimeShare> AddUpBlame(const std::vector<PhaseSlice>& slices) {
  ShareSums sums;
  for (const PhaseSlice& slice : slices) {
    for (const TimeShare& share : slice.blame) {
      sums[{share.reason, share.object}] += share.duration_ns;
    }
  }
  return sums.Take();
}

}  // namespace startscope
