// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/time_readings.h"

namespace startscope {
namespace {

uint64_t Delta(uint64_t later, uint64_t earlier) { return later > earlier ? later - earlier : 0; }

constexpr size_t kKeptReadings = 4096;

// A difference of figures that may wrap, such as off_cpu_ns; one that is negative is none.
uint64_t WrappingDelta(uint64_t later, uint64_t earlier) {
  const auto difference = static_cast<int64_t>(later - earlier);
  return difference > 0 ? static_cast<uint64_t>(difference) : 0;
}

}  // namespace

void TimeReadings::Read(const Evidence& evidence, const End& end, bool marks, bool faults) {
  full_.clear();
  all_.clear();
  const auto add = [this](uint64_t boottime_ns, const Counters& counters) {
    full_.push_back({boottime_ns, counters.off_cpu_ns, counters.run_delay_ns, &counters});
  };
  add(evidence.exec.begin_boottime_ns, evidence.exec.begin);
  add(evidence.exec_boottime_ns, evidence.exec.now);
  for (const auto& mark : evidence.marks) {
    if (marks && mark.boottime_ns >= evidence.exec_boottime_ns &&
        mark.boottime_ns < end.boottime_ns) {
      add(mark.boottime_ns, mark.value.now);
    }
  }
  const auto earlier = [](const Reading& a, const Reading& b) {
    return a.boottime_ns < b.boottime_ns;
  };
  if (!std::is_sorted(full_.begin(), full_.end(), earlier)) {
    std::stable_sort(full_.begin(), full_.end(), earlier);
  }
  if (faults) AddFaults(evidence, end);
  if (!end.counters) return;
  add(end.boottime_ns, *end.counters);
  if (faults) all_.push_back(full_.back());
}

void TimeReadings::AddFaults(const Evidence& evidence, const End& end) {
  // Written without looking for room each time: it is the longest list of all.
  room_.resize(std::max(room_.size(), full_.size() + 2 * evidence.faults.size()));
  const uint64_t begin = evidence.exec.begin_boottime_ns;
  const Reading* full = full_.data();
  const Reading* const full_end = full + full_.size();
  Reading* to = room_.data();
  bool in_order = true;
  uint64_t last_ns = 0;
  for (const auto& fault : evidence.faults) {
    if (fault.boottime_ns < begin || fault.boottime_ns > end.boottime_ns) continue;
    // A thread that executed is the main thread only from then on.
    if (fault.tid != evidence.pid) continue;
    const FaultEvent& value = fault.value;
    if (value.off_cpu_ns == 0) continue;
    if (value.completed && value.entry_boottime_ns >= begin) {
      const uint64_t at_ns = value.entry_boottime_ns;
      in_order &= at_ns >= last_ns;
      last_ns = at_ns;
      while (full != full_end && full->boottime_ns <= at_ns) *to++ = *full++;
      *to++ = {at_ns, value.off_cpu_ns - value.fault_off_cpu_ns,
               value.run_delay_ns - value.fault_run_delay_ns, nullptr};
    }
    in_order &= fault.boottime_ns >= last_ns;
    last_ns = fault.boottime_ns;
    while (full != full_end && full->boottime_ns <= last_ns) *to++ = *full++;
    *to++ = {last_ns, value.off_cpu_ns, value.run_delay_ns, nullptr};
  }
  to = std::copy(full, full_end, to);
  all_.assign(room_.data(), to);
  if (room_.size() > kKeptReadings) room_ = {};
  if (in_order) return;
  // At equal times, too, those of faults come behind the others.
  std::stable_sort(all_.begin(), all_.end(), [](const Reading& a, const Reading& b) {
    if (a.boottime_ns != b.boottime_ns) return a.boottime_ns < b.boottime_ns;
    return a.counters != nullptr && b.counters == nullptr;
  });
}

// Gives `add` each two consecutive readings inside a span. False: the readings do not cover it, or
// something passed between two of which one lies outside it. `add` tells whether anything passed.
bool TimeReadings::AddUpIn(const TimeSpan& span, const std::vector<Reading>& readings, auto add) {
  uint64_t covered_until = span.begin;
  auto from = readings.begin();
  if (span.length() != 0) {
    const auto inside = std::upper_bound(
        readings.begin(), readings.end(), span.begin,
        [](uint64_t at, const Reading& reading) { return at < reading.boottime_ns; });
    if (inside != readings.begin()) from = inside - 1;
  }
  for (; from != readings.end() && from + 1 != readings.end(); ++from) {
    const auto to = from + 1;
    if (from->boottime_ns >= span.end) break;
    if (from->boottime_ns > covered_until) return false;
    const bool inside = from->boottime_ns >= span.begin && to->boottime_ns <= span.end;
    if (add(*from, *to) && !inside) return false;
    covered_until = std::max(covered_until, to->boottime_ns);
  }
  return covered_until >= span.end;
}

std::optional<uint64_t> TimeReadings::RiseIn(const TimeSpan& span,
                                             uint64_t Counters::*counter) const {
  uint64_t sum = 0;
  const bool known = AddUpIn(span, full_, [&](const Reading& from, const Reading& to) {
    const uint64_t rise = Delta(to.counters->*counter, from.counters->*counter);
    sum += rise;
    return rise != 0;
  });
  return known ? std::optional(sum) : std::nullopt;
}

std::optional<TimeReadings::OffCpu> TimeReadings::OffCpuIn(const TimeSpan& span) const {
  OffCpu sum;
  const bool known = AddUpIn(span, all_, [&](const Reading& from, const Reading& to) {
    const uint64_t off = WrappingDelta(to.off_cpu_ns, from.off_cpu_ns);
    if (off == 0) return false;
    sum.off_ns += off;
    sum.queued_ns += std::min(off, Delta(to.run_delay_ns, from.run_delay_ns));
    return true;
  });
  return known ? std::optional(sum) : std::nullopt;
}

}  // namespace startscope
