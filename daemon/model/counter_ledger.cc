// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/counter_ledger.h"

#include <algorithm>

namespace startscope {
namespace {

// Something that tells about fault counts, at one moment.
struct Entry {
  uint64_t boottime_ns = 0;
  const FaultEvent* fault = nullptr;    // a fault of its own
  const Counters* counters = nullptr;   // or a reading
};

std::vector<Entry> EntriesInOrder(const Evidence& evidence, const End& end, bool ignore_marks) {
  std::vector<Entry> entries;
  entries.push_back({evidence.exec_boottime_ns, nullptr, &evidence.exec.now});
  for (const auto& fault : evidence.faults) {
    if (fault.boottime_ns <= end.boottime_ns) {
      entries.push_back({fault.boottime_ns, &fault.value, nullptr});
    }
  }
  if (!ignore_marks) {
    for (const auto& mark : evidence.marks) {
      if (mark.boottime_ns <= end.boottime_ns) {
        entries.push_back({mark.boottime_ns, nullptr, &mark.value.now});
      }
    }
  }
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.boottime_ns < b.boottime_ns;
  });
  if (end.counters) entries.push_back({end.boottime_ns, nullptr, &*end.counters});
  return entries;
}

// Index of the slice that holds a time; the last one holds its own end too.
size_t SliceAt(const std::vector<PhaseSlice>& slices, uint64_t begin_ns, uint64_t boottime_ns) {
  const uint64_t offset = boottime_ns > begin_ns ? boottime_ns - begin_ns : 0;
  size_t index = 0;
  while (index + 1 < slices.size() && slices[index + 1].offset_ns <= offset) ++index;
  return index;
}

class Book {
 public:
  Book(const Counters& base, size_t slices) : base_(base) { result_.phases.resize(slices); }

  // A fault that completed and whose kind is known.
  void Record(size_t slice, const FaultEvent& fault, uint64_t latency_ns) {
    FaultSums& sums = result_.phases[slice];
    (fault.major ? sums.major : sums.minor) += 1;
    (fault.major ? major_ : minor_) += 1;
    sums.total_ns += latency_ns;
    if (!fault.major) sums.minor_ns += latency_ns;
  }

  // A fault of which only the entry was seen: the next reading says what became of it.
  void Open(size_t slice) { open_ = slice; }

  void Read(size_t slice, uint64_t minor_reading, uint64_t major_reading) {
    if (minor_reading < base_.minor_faults || major_reading < base_.major_faults) return;
    const uint64_t minor = minor_reading - base_.minor_faults;
    const uint64_t major = major_reading - base_.major_faults;
    result_.kernel_minor = minor;
    result_.kernel_major = major;
    if (minor < minor_ || major < major_) {
      result_.counts_contradict = true;
      open_.reset();
      return;
    }
    uint64_t more_minor = minor - minor_;
    uint64_t more_major = major - major_;
    minor_ = minor;
    major_ = major;
    if (open_ && more_major > 0) {
      result_.phases[*open_].major += 1;
      --more_major;
    } else if (open_ && more_minor > 0) {
      result_.phases[*open_].minor += 1;
      --more_minor;
    }
    open_.reset();
    result_.phases[slice].minor += more_minor;
    result_.phases[slice].major += more_major;
    result_.unrecorded_minor += more_minor;
    result_.unrecorded_major += more_major;
  }

  void ThreadsNotRead() { result_.threads_not_read = true; }
  [[nodiscard]] LedgerResult Take() { return std::move(result_); }

 private:
  const Counters& base_;
  LedgerResult result_;
  uint64_t minor_ = 0;  // booked so far
  uint64_t major_ = 0;
  std::optional<size_t> open_;
};

}  // namespace

LedgerResult BookFaults(const Evidence& evidence, const End& end,
                        const std::vector<PhaseSlice>& slices, bool ignore_marks) {
  const uint64_t begin = evidence.exec.begin_boottime_ns;
  Book book(evidence.exec.begin, slices.size());
  for (const Entry& entry : EntriesInOrder(evidence, end, ignore_marks)) {
    const size_t slice = SliceAt(slices, begin, entry.boottime_ns);
    if (entry.counters != nullptr) {
      if (entry.counters->threads_not_read != 0) book.ThreadsNotRead();
      book.Read(slice, entry.counters->minor_faults, entry.counters->major_faults);
      continue;
    }
    const FaultEvent& fault = *entry.fault;
    if (fault.completed) {
      const uint64_t latency = fault.entry_boottime_ns != 0 &&
                                       fault.entry_boottime_ns <= entry.boottime_ns
                                   ? entry.boottime_ns - fault.entry_boottime_ns
                                   : 0;
      book.Record(slice, fault, latency);
      if (fault.counts_known) book.Read(slice, fault.minor_faults, fault.major_faults);
    } else {
      if (fault.counts_known) book.Read(slice, fault.minor_faults, fault.major_faults);
      book.Open(slice);
    }
  }
  return book.Take();
}

void SplitTime(const Evidence& evidence, const End& end, bool ignore_marks,
               std::vector<PhaseSlice>* slices) {
  const uint64_t begin = evidence.exec.begin_boottime_ns;
  struct Reading {
    uint64_t offset_ns;
    const Counters* counters;
  };
  std::vector<Reading> readings = {{0, &evidence.exec.begin},
                                   {evidence.exec_boottime_ns - begin, &evidence.exec.now}};
  if (!ignore_marks) {
    for (const auto& mark : evidence.marks) {
      if (mark.boottime_ns >= evidence.exec_boottime_ns && mark.boottime_ns < end.boottime_ns) {
        readings.push_back({mark.boottime_ns - begin, &mark.value.now});
      }
    }
  }
  if (end.counters) readings.push_back({end.boottime_ns - begin, &*end.counters});

  for (PhaseSlice& slice : *slices) {
    const uint64_t slice_end = slice.offset_ns + slice.duration_ns;
    uint64_t off_ns = 0;
    uint64_t runqueue_ns = 0;
    uint64_t covered_until = slice.offset_ns;
    bool known = true;
    for (size_t i = 0; i + 1 < readings.size() && known; ++i) {
      const Reading& from = readings[i];
      const Reading& to = readings[i + 1];
      if (to.offset_ns <= slice.offset_ns && !(slice.duration_ns == 0)) continue;
      if (from.offset_ns >= slice_end) break;
      if (from.offset_ns > covered_until) known = false;
      const auto delta = [](uint64_t later, uint64_t earlier) {
        return later > earlier ? later - earlier : 0;
      };
      const uint64_t ran = delta(to.counters->sum_exec_ns, from.counters->sum_exec_ns);
      const uint64_t passed = delta(to.counters->exec_start_ns, from.counters->exec_start_ns);
      const uint64_t off = delta(passed, ran);
      const bool inside = from.offset_ns >= slice.offset_ns && to.offset_ns <= slice_end;
      if (off != 0 && !inside) known = false;
      off_ns += off;
      runqueue_ns += std::min(
          off, delta(to.counters->run_delay_ns, from.counters->run_delay_ns));
      covered_until = std::max(covered_until, to.offset_ns);
    }
    if (!known || covered_until < slice_end) continue;
    off_ns = std::min(off_ns, slice.duration_ns);
    runqueue_ns = std::min(runqueue_ns, off_ns);
    slice.on_cpu_ns = slice.duration_ns - off_ns;
    slice.runqueue_ns = runqueue_ns;
    slice.blocked_ns = off_ns - runqueue_ns;
  }
}

}  // namespace startscope
