// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/counter_ledger.h"

#include <cstddef>
#include <utility>

namespace startscope {
namespace {

// Something that tells about fault counts, at one moment.
struct Entry {
  uint64_t boottime_ns = 0;
  const FaultEvent* fault = nullptr;    // a fault of its own
  const Counters* counters = nullptr;   // or a reading
};

// Gives each of them, in order of time. At equal times the reading after exec comes first, and a
// fault before a mark.
template <typename Take>
void ForEachInOrder(const Evidence& evidence, const End& end, bool ignore_marks, Take take) {
  auto fault = evidence.faults.begin();
  auto mark = ignore_marks ? evidence.marks.end() : evidence.marks.begin();
  const auto take_while = [&](auto in_time) {
    for (;;) {
      const bool has_fault = fault != evidence.faults.end() && in_time(fault->boottime_ns);
      const bool has_mark = mark != evidence.marks.end() && in_time(mark->boottime_ns);
      if (has_fault && (!has_mark || fault->boottime_ns <= mark->boottime_ns)) {
        take(Entry{fault->boottime_ns, &fault->value, nullptr});
        ++fault;
      } else if (has_mark) {
        take(Entry{mark->boottime_ns, nullptr, &mark->value.now});
        ++mark;
      } else {
        return;
      }
    }
  };
  take_while([&](uint64_t boottime_ns) { return boottime_ns < evidence.exec_boottime_ns; });
  take(Entry{evidence.exec_boottime_ns, nullptr, &evidence.exec.now});
  take_while([&](uint64_t boottime_ns) { return boottime_ns <= end.boottime_ns; });
  if (end.counters) take(Entry{end.boottime_ns, nullptr, &*end.counters});
}

// Index of the slice that holds a time, from `index` on; the last one holds its own end too.
size_t SliceAt(const std::vector<PhaseSlice>& slices, uint64_t begin_ns, uint64_t boottime_ns,
               size_t index) {
  const uint64_t offset = boottime_ns > begin_ns ? boottime_ns - begin_ns : 0;
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
      ++result_.uncompleted_major;
      --more_major;
    } else if (open_ && more_minor > 0) {
      result_.phases[*open_].minor += 1;
      ++result_.uncompleted_minor;
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
  size_t slice = 0;
  ForEachInOrder(evidence, end, ignore_marks, [&](const Entry& entry) {
    slice = SliceAt(slices, begin, entry.boottime_ns, slice);
    if (entry.counters != nullptr) {
      if (entry.counters->threads_not_read != 0) book.ThreadsNotRead();
      book.Read(slice, entry.counters->minor_faults, entry.counters->major_faults);
      return;
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
  });
  return book.Take();
}

}  // namespace startscope
