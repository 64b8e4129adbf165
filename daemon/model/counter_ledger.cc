// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/counter_ledger.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace startscope {
namespace {

class Book {
 public:
  Book(const Counters& base, uint64_t begin_ns, const std::vector<PhaseSlice>& slices)
      : base_(base), begin_ns_(begin_ns), slices_(slices) {
    result_.phases.resize(slices.size());
    FindNext();
  }

  // Times never go back.
  void Add(uint64_t boottime_ns, const Counters& counters) {
    MoveTo(std::max(boottime_ns, begin_ns_));
    result_.threads_not_read |= counters.threads_not_read != 0;
    Read(counters.minor_faults, counters.major_faults);
  }

  void Add(uint64_t boottime_ns, const FaultEvent& fault) {
    MoveTo(std::max(boottime_ns, begin_ns_));
    if (fault.completed) {
      const bool timed = fault.entry_boottime_ns != 0 && fault.entry_boottime_ns <= boottime_ns;
      Record(fault, timed ? boottime_ns - fault.entry_boottime_ns : 0);
      if (fault.counts_known) Read(fault.minor_faults, fault.major_faults);
      return;
    }
    if (fault.counts_known) Read(fault.minor_faults, fault.major_faults);
    // Only the entry was seen: the next reading says what became of it.
    open_ = slice_;
  }

  [[nodiscard]] LedgerResult Take() { return std::move(result_); }

 private:
  static constexpr size_t kNoSlice = SIZE_MAX;
  // To the slice that holds a time; the last one holds its own end too.
  void MoveTo(uint64_t boottime_ns) {
    while (boottime_ns >= next_begin_ns_ && slice_ + 1 < slices_.size()) {
      ++slice_;
      FindNext();
    }
  }
  void FindNext() {
    next_begin_ns_ =
        slice_ + 1 < slices_.size() ? begin_ns_ + slices_[slice_ + 1].offset_ns : UINT64_MAX;
  }

  // A fault that completed and whose kind is known.
  void Record(const FaultEvent& fault, uint64_t latency_ns) {
    FaultSums& sums = result_.phases[slice_];
    (fault.major ? sums.major : sums.minor) += 1;
    (fault.major ? major_ : minor_) += 1;
    sums.total_ns += latency_ns;
    if (!fault.major) sums.minor_ns += latency_ns;
  }

  void Read(uint64_t minor_reading, uint64_t major_reading) {
    if (minor_reading < base_.minor_faults || major_reading < base_.major_faults) return;
    const uint64_t minor = minor_reading - base_.minor_faults;
    const uint64_t major = major_reading - base_.major_faults;
    result_.kernel_minor = minor;
    result_.kernel_major = major;
    if (minor < minor_ || major < major_) {
      result_.counts_contradict = true;
      open_ = kNoSlice;
      return;
    }
    uint64_t more_minor = minor - minor_;
    uint64_t more_major = major - major_;
    minor_ = minor;
    major_ = major;
    if (open_ != kNoSlice && more_major > 0) {
      result_.phases[open_].major += 1;
      ++result_.uncompleted_major;
      --more_major;
    } else if (open_ != kNoSlice && more_minor > 0) {
      result_.phases[open_].minor += 1;
      ++result_.uncompleted_minor;
      --more_minor;
    }
    open_ = kNoSlice;
    result_.phases[slice_].minor += more_minor;
    result_.phases[slice_].major += more_major;
    result_.unrecorded_minor += more_minor;
    result_.unrecorded_major += more_major;
  }

  const Counters& base_;
  const uint64_t begin_ns_;
  const std::vector<PhaseSlice>& slices_;
  size_t slice_ = 0;
  uint64_t next_begin_ns_ = 0;  // of the slice behind it
  LedgerResult result_;
  uint64_t minor_ = 0;  // booked so far
  uint64_t major_ = 0;
  size_t open_ = kNoSlice;  // slice of a fault of which only the entry was seen
};

}  // namespace

// At equal times the reading after exec comes first, and a fault before a mark.
LedgerResult BookFaults(const Evidence& evidence, const End& end,
                        const std::vector<PhaseSlice>& slices, bool ignore_marks) {
  Book book(evidence.exec.begin, evidence.exec.begin_boottime_ns, slices);
  auto fault = evidence.faults.begin();
  auto mark = ignore_marks ? evidence.marks.end() : evidence.marks.begin();
  const auto add_while = [&](auto in_time) {
    for (;;) {
      const bool has_fault = fault != evidence.faults.end() && in_time(fault->boottime_ns);
      const bool has_mark = mark != evidence.marks.end() && in_time(mark->boottime_ns);
      if (has_fault && (!has_mark || fault->boottime_ns <= mark->boottime_ns)) {
        book.Add(fault->boottime_ns, fault->value);
        ++fault;
      } else if (has_mark) {
        book.Add(mark->boottime_ns, mark->value.now);
        ++mark;
      } else {
        return;
      }
    }
  };
  add_while([&](uint64_t boottime_ns) { return boottime_ns < evidence.exec_boottime_ns; });
  book.Add(evidence.exec_boottime_ns, evidence.exec.now);
  add_while([&](uint64_t boottime_ns) { return boottime_ns <= end.boottime_ns; });
  if (end.counters) book.Add(end.boottime_ns, *end.counters);
  return book.Take();
}

}  // namespace startscope
