// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_TIME_READINGS_H_
#define STARTSCOPE_DAEMON_MODEL_TIME_READINGS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "daemon/model/evidence.h"

namespace startscope {

// From one moment of the boot clock to another.
struct TimeSpan {
  uint64_t begin = 0;
  uint64_t end = 0;
  [[nodiscard]] uint64_t length() const { return end > begin ? end - begin : 0; }
  [[nodiscard]] uint64_t Overlap(uint64_t from, uint64_t to) const {
    return TimeSpan{std::max(begin, from), std::min(end, to)}.length();
  }
};

// The scheduler's figures of the main thread, wherever they were read in one startup. Keeps its
// memory from one startup to the next. One thread.
class TimeReadings {
 public:
  // Refers to the evidence and the end. `faults`: also those that were read at faults, which
  // brought less.
  void Read(const Evidence& evidence, const End& end, bool marks, bool faults);

  // How much a counter rose in a span; nullopt: the readings do not cover it, or it rose between
  // two readings of which one lies outside the span.
  [[nodiscard]] std::optional<uint64_t> RiseIn(const TimeSpan& span,
                                               uint64_t Counters::*counter) const;
  // Time off the CPU, and the part of it in which the thread was runnable; nullopt likewise. Call
  // with the readings of faults.
  struct OffCpu {
    uint64_t off_ns = 0;
    uint64_t queued_ns = 0;
  };
  [[nodiscard]] std::optional<OffCpu> OffCpuIn(const TimeSpan& span) const;

 private:
  struct Reading {
    uint64_t boottime_ns = 0;
    uint64_t off_cpu_ns = 0;
    uint64_t run_delay_ns = 0;
    const Counters* counters = nullptr;  // where all were read
  };
  static bool AddUpIn(const TimeSpan& span, const std::vector<Reading>& readings, auto add);
  void AddFaults(const Evidence& evidence, const End& end);

  std::vector<Reading> full_;  // those that brought all counters, in order of time
  std::vector<Reading> all_;   // and those of faults
  std::vector<Reading> room_;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_TIME_READINGS_H_
