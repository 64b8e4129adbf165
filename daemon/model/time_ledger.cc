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

// A difference of figures that may wrap, such as off_cpu_ns; one that is negative is none.
uint64_t WrappingDelta(uint64_t later, uint64_t earlier) {
  const auto difference = static_cast<int64_t>(later - earlier);
  return difference > 0 ? static_cast<uint64_t>(difference) : 0;
}

// The scheduler's figures of the main thread at one moment.
struct Reading {
  uint64_t boottime_ns = 0;
  uint64_t off_cpu_ns = 0;
  uint64_t run_delay_ns = 0;
  const Counters* counters = nullptr;  // where all were read
};

// Which readings: those that brought all counters, or also those of faults, which brought less.
enum class Readings : uint8_t { kFull, kAll };

std::vector<Reading> ReadingsInOrder(const Evidence& evidence, const End& end, bool use_marks,
                                     Readings which) {
  std::vector<Reading> readings;
  const size_t faults = which == Readings::kAll ? evidence.faults.size() : 0;
  readings.reserve(3 + evidence.marks.size() + 2 * faults);
  const auto add = [&](uint64_t boottime_ns, const Counters& counters) {
    readings.push_back({boottime_ns, counters.off_cpu_ns, counters.run_delay_ns, &counters});
  };
  const auto earlier = [](const Reading& a, const Reading& b) {
    return a.boottime_ns < b.boottime_ns;
  };
  const uint64_t begin = evidence.exec.begin_boottime_ns;
  add(begin, evidence.exec.begin);
  add(evidence.exec_boottime_ns, evidence.exec.now);
  if (use_marks) {
    for (const auto& mark : evidence.marks) {
      if (mark.boottime_ns >= evidence.exec_boottime_ns && mark.boottime_ns < end.boottime_ns) {
        add(mark.boottime_ns, mark.value.now);
      }
    }
  }
  const auto first_fault = static_cast<std::ptrdiff_t>(readings.size());
  for (size_t i = 0; i < faults; ++i) {
    const auto& fault = evidence.faults[i];
    if (fault.boottime_ns < begin || fault.boottime_ns > end.boottime_ns) continue;
    // A thread that executed is the main thread only from then on.
    if (fault.tid != evidence.pid) continue;
    const FaultEvent& value = fault.value;
    if (value.off_cpu_ns == 0) continue;
    if (value.completed && value.entry_boottime_ns >= begin) {
      readings.push_back({value.entry_boottime_ns, value.off_cpu_ns - value.fault_off_cpu_ns,
                          value.run_delay_ns - value.fault_run_delay_ns, nullptr});
    }
    readings.push_back({fault.boottime_ns, value.off_cpu_ns, value.run_delay_ns, nullptr});
  }
  // Each part is almost always in order by itself.
  const auto by_fault = readings.begin() + first_fault;
  const auto sort = [&earlier](auto from, auto to) {
    if (!std::is_sorted(from, to, earlier)) std::stable_sort(from, to, earlier);
  };
  sort(readings.begin(), by_fault);
  sort(by_fault, readings.end());
  std::inplace_merge(readings.begin(), by_fault, readings.end(), earlier);
  if (end.counters) {
    add(end.boottime_ns, *end.counters);
    sort(readings.begin(), readings.end());
  }
  return readings;
}

struct Span {
  uint64_t begin = 0;
  uint64_t end = 0;
  [[nodiscard]] uint64_t length() const { return end > begin ? end - begin : 0; }
  [[nodiscard]] uint64_t Overlap(uint64_t from, uint64_t to) const {
    return Delta(std::min(end, to), std::max(begin, from));
  }
};

Span SpanOf(const PhaseSlice& slice, uint64_t origin) {
  return {origin + slice.offset_ns, origin + slice.offset_ns + slice.duration_ns};
}

// The sum of what passed between readings inside a slice; nullopt when something passed between two
// readings of which one lies outside it. `amount` gives what passed from one reading to the next.
template <typename Amount>
std::optional<uint64_t> PassedIn(const Span& slice, const std::vector<Reading>& readings,
                                 Amount amount) {
  uint64_t sum = 0;
  uint64_t covered_until = slice.begin;
  size_t first = 0;
  if (slice.length() != 0) {
    const auto inside = std::upper_bound(
        readings.begin(), readings.end(), slice.begin,
        [](uint64_t at, const Reading& reading) { return at < reading.boottime_ns; });
    if (inside != readings.begin()) first = static_cast<size_t>(inside - readings.begin()) - 1;
  }
  for (size_t i = first; i + 1 < readings.size(); ++i) {
    const Reading& from = readings[i];
    const Reading& to = readings[i + 1];
    if (from.boottime_ns >= slice.end) break;
    if (from.boottime_ns > covered_until) return std::nullopt;
    const uint64_t passed = amount(from, to);
    const bool inside = from.boottime_ns >= slice.begin && to.boottime_ns <= slice.end;
    if (passed != 0 && !inside) return std::nullopt;
    sum += passed;
    covered_until = std::max(covered_until, to.boottime_ns);
  }
  if (covered_until < slice.end) return std::nullopt;
  return sum;
}

// A spell off the CPU, cut into blocked and waiting for a CPU.
struct Spell {
  Span blocked;
  Span queued;
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

void SplitByWaits(const Span& span, const std::vector<Spell>& spells, PhaseSlice* slice) {
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

void SplitByReadings(const Span& span, const std::vector<Reading>& all,
                     const std::vector<Reading>& full, PhaseSlice* slice) {
  std::optional<uint64_t> off = PassedIn(span, all, [](const Reading& from, const Reading& to) {
    return WrappingDelta(to.off_cpu_ns, from.off_cpu_ns);
  });
  if (!off) return;
  std::optional<uint64_t> queued = PassedIn(span, all, [](const Reading& from, const Reading& to) {
    return std::min(WrappingDelta(to.off_cpu_ns, from.off_cpu_ns),
                    Delta(to.run_delay_ns, from.run_delay_ns));
  });
  *off = std::min(*off, slice->duration_ns);
  uint64_t runqueue = std::min(queued.value_or(0), *off);
  // A thread that never gave up its CPU was not blocked: what else it was off it, it was runnable.
  const auto switches = PassedIn(span, full, [](const Reading& from, const Reading& to) {
    return Delta(to.counters->voluntary_switches, from.counters->voluntary_switches);
  });
  if (switches && *switches == 0) runqueue = *off;
  slice->on_cpu_ns = slice->duration_ns - *off;
  slice->runqueue_ns = runqueue;
  slice->blocked_ns = *off - runqueue;
}

// What may be going on in the main thread; a later one goes on inside an earlier one.
enum class Layer : uint8_t { kBase, kCall, kFault, kSpell };

struct Activity {
  Activity(const Span& when, Layer where, TimeReason why) : span(when), layer(where), reason(why) {}

  Span span;
  Layer layer;
  TimeReason reason;
  std::string_view object = {};
  // Without recorded waits: how much of it was off the CPU.
  uint64_t queued_ns = 0;
  uint64_t blocked_ns = 0;
  TimeReason blocked_reason = TimeReason::kBlockedOther;
};

void AddSpells(const Evidence& evidence, const FileNames& names,
               std::vector<Activity>* activities) {
  const ReadFinder finder(evidence, names);
  for (const Spell& spell : SpellsOf(evidence)) {
    if (spell.blocked.length() != 0) {
      Activity blocked(spell.blocked, Layer::kSpell, TimeReason::kBlockedOther);
      if (spell.reason == WaitReason::kIo) {
        blocked.reason = TimeReason::kBlockedIo;
        blocked.object = finder.FileOf(spell.blocked.begin, spell.blocked.end);
      }
      activities->push_back(blocked);
    }
    if (spell.queued.length() != 0) {
      activities->emplace_back(spell.queued, Layer::kSpell, TimeReason::kRunQueue);
    }
  }
}

std::vector<Activity> ActivitiesOf(const Evidence& evidence, const End& end,
                                   const TimeSources& sources, const FileNames& names) {
  std::vector<Activity> activities;
  activities.reserve(sources.faults_timed ? evidence.faults.size() : 0);
  if (sources.waits) AddSpells(evidence, names, &activities);
  const uint64_t seen_until = SeenUntil(evidence, end);
  if (sources.waits && seen_until < end.boottime_ns) {
    activities.emplace_back(Span{seen_until, end.boottime_ns}, Layer::kBase,
                            TimeReason::kUnexplained);
  }
  for (size_t i = 0; sources.faults_timed && i < evidence.faults.size(); ++i) {
    const auto& fault = evidence.faults[i];
    const FaultEvent& value = fault.value;
    if (fault.tid != evidence.pid || !value.completed || value.entry_boottime_ns == 0 ||
        value.entry_boottime_ns > fault.boottime_ns) {
      continue;
    }
    Activity activity({value.entry_boottime_ns, fault.boottime_ns}, Layer::kFault,
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
    activities.push_back(activity);
  }
  for (const auto& call : evidence.calls) {
    if (!sources.calls || call.tid != evidence.pid) continue;
    if (call.value.entry_boottime_ns == 0 || call.value.entry_boottime_ns > call.boottime_ns) {
      continue;
    }
    activities.emplace_back(Span{call.value.entry_boottime_ns, call.boottime_ns}, Layer::kCall,
                            TimeReason::kSyscall);
  }
  // Its end would come before its begin.
  std::erase_if(activities, [](const Activity& one) { return one.span.length() == 0; });
  return activities;
}

// Time by reason and object. There are few of them.
class ShareSums {
 public:
  uint64_t& operator[](const std::pair<TimeReason, std::string_view>& key) {
    for (Sum& sum : sums_) {
      if (sum.key == key) return sum.duration_ns;
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

// Walks the activities' edges through one slice: each piece between two edges belongs to the
// innermost activity.
class Sweep {
 public:
  explicit Sweep(const std::vector<Activity>& activities) : activities_(activities) {
    edges_.reserve(2 * activities.size());
    for (uint32_t i = 0; i < activities.size(); ++i) {
      edges_.push_back({activities[i].span.begin, true, i});
      edges_.push_back({activities[i].span.end, false, i});
    }
    const auto earlier = [](const Edge& a, const Edge& b) {
      return a.at != b.at ? a.at < b.at : a.opens < b.opens;
    };
    // What comes one after the other is in order as it is.
    if (!std::is_sorted(edges_.begin(), edges_.end(), earlier)) {
      std::stable_sort(edges_.begin(), edges_.end(), earlier);
    }
  }

  // Slices must come in order. `base` is called with the time that lies in no activity.
  template <typename InActivity>
  uint64_t Run(const Span& slice, InActivity in_activity) {
    uint64_t base = 0;
    uint64_t at = slice.begin;
    const auto piece = [&](uint64_t until) {
      until = std::min(until, slice.end);
      if (until <= at) return;
      if (const Activity* inner = Innermost()) {
        in_activity(*inner, until - at);
      } else {
        base += until - at;
      }
      at = until;
    };
    for (; next_ < edges_.size() && edges_[next_].at < slice.end; ++next_) {
      piece(edges_[next_].at);
      Cross(edges_[next_]);
    }
    piece(slice.end);
    return base;
  }

 private:
  struct Edge {
    uint64_t at = 0;
    bool opens = false;
    uint32_t activity = 0;
  };
  void Cross(const Edge& edge) {
    auto& open = open_[static_cast<size_t>(activities_[edge.activity].layer)];
    if (edge.opens) {
      open.push_back(edge.activity);
    } else {
      std::erase(open, edge.activity);
    }
  }
  [[nodiscard]] const Activity* Innermost() const {
    for (size_t layer = 4; layer-- > 0;) {
      if (!open_[layer].empty()) return &activities_[open_[layer].back()];
    }
    return nullptr;
  }

  const std::vector<Activity>& activities_;
  std::vector<Edge> edges_;
  std::vector<uint32_t> open_[4];
  size_t next_ = 0;
};

// Time in activities, without recorded waits: each one's off-CPU part comes from its own figures.
void AddWithoutWaits(const Activity& activity, uint64_t piece_ns, Shares* shares,
                     uint64_t* queued_inside, uint64_t* blocked_inside) {
  const uint64_t whole = std::max<uint64_t>(activity.span.length(), 1);
  // A slice may cut an activity: its off-CPU time is then shared out evenly.
  const auto part = [&](uint64_t ns) {
    return piece_ns >= whole ? ns : static_cast<uint64_t>(static_cast<double>(ns) * piece_ns / whole);
  };
  const uint64_t queued = part(activity.queued_ns);
  const uint64_t blocked = part(activity.blocked_ns);
  shares->Add(TimeReason::kRunQueue, queued);
  shares->Add(activity.blocked_reason, blocked, activity.object);
  shares->Add(activity.reason, Delta(piece_ns, queued + blocked));
  *queued_inside += queued;
  *blocked_inside += blocked;
}

}  // namespace

void SplitTime(const Evidence& evidence, const End& end, const TimeSources& sources,
               std::vector<PhaseSlice>* slices) {
  const uint64_t origin = evidence.exec.begin_boottime_ns;
  // Where waits are recorded, they say it all.
  const std::vector<Reading> all =
      ReadingsInOrder(evidence, end, sources.marks, sources.waits ? Readings::kFull : Readings::kAll);
  const std::vector<Reading> full =
      ReadingsInOrder(evidence, end, sources.marks, Readings::kFull);
  const std::vector<Spell> spells = sources.waits ? SpellsOf(evidence) : std::vector<Spell>();
  const uint64_t seen_until = SeenUntil(evidence, end);
  for (PhaseSlice& slice : *slices) {
    const Span span = SpanOf(slice, origin);
    if (sources.waits) {
      if (span.end <= seen_until) SplitByWaits(span, spells, &slice);
    } else {
      SplitByReadings(span, all, full, &slice);
    }
    slice.storage_bytes = PassedIn(span, full, [](const Reading& from, const Reading& to) {
      return Delta(to.counters->read_bytes, from.counters->read_bytes);
    });
  }
}

void BlameTime(const Evidence& evidence, const End& end, const TimeSources& sources, const FileNames& names,
               std::vector<PhaseSlice>* slices) {
  const uint64_t origin = evidence.exec.begin_boottime_ns;
  const std::vector<Activity> activities = ActivitiesOf(evidence, end, sources, names);
  Sweep sweep(activities);
  const std::vector<Reading> full =
      ReadingsInOrder(evidence, end, sources.marks, Readings::kFull);
  for (PhaseSlice& slice : *slices) {
    const Span span = SpanOf(slice, origin);
    Shares shares(slice.duration_ns);
    uint64_t queued_inside = 0;
    uint64_t blocked_inside = 0;
    const uint64_t base = sweep.Run(span, [&](const Activity& activity, uint64_t piece_ns) {
      if (sources.waits) {
        shares.Add(activity.reason, piece_ns, activity.object);
      } else {
        AddWithoutWaits(activity, piece_ns, &shares, &queued_inside, &blocked_inside);
      }
    });
    uint64_t running = base;
    if (!sources.waits) {
      if (!slice.on_cpu_ns) {
        running = 0;  // all of it stays unexplained
      } else {
        const uint64_t queued = std::min(Delta(*slice.runqueue_ns, queued_inside), base);
        const uint64_t blocked =
            std::min(Delta(*slice.blocked_ns, blocked_inside), base - queued);
        shares.Add(TimeReason::kRunQueue, queued);
        // Whether it waited for storage is not known; it did not if nothing was read.
        const bool nothing_read = slice.storage_bytes && *slice.storage_bytes == 0;
        shares.Add(nothing_read ? TimeReason::kBlockedOther : TimeReason::kUnexplained, blocked);
        running = base - queued - blocked;
      }
    }
    uint64_t in_cpuid = 0;
    for (const auto& sample : evidence.samples) {
      const bool inside = sample.boottime_ns >= span.begin && sample.boottime_ns < span.end;
      if (sources.samples && inside && sample.tid == evidence.pid && sample.value.after_cpuid) {
        in_cpuid += sources.sample_period_ns;
      }
    }
    in_cpuid = std::min(in_cpuid, running);
    shares.Add(TimeReason::kCpuidTrap, in_cpuid);
    shares.Add(slice.phase == Phase::kKernelExec ? TimeReason::kKernelExec : TimeReason::kRunning,
               running - in_cpuid);
    const auto throttled = PassedIn(span, full, [](const Reading& from, const Reading& to) {
      return Delta(to.counters->throttled_ns, from.counters->throttled_ns);
    });
    if (throttled) shares.Move(TimeReason::kRunQueue, TimeReason::kThrottled, *throttled);
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
