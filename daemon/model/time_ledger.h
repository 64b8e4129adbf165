// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_TIME_LEDGER_H_
#define STARTSCOPE_DAEMON_MODEL_TIME_LEDGER_H_

#include <cstdint>
#include <vector>

#include "daemon/model/evidence.h"
#include "daemon/model/read_finder.h"
#include "daemon/model/startup.h"
#include "daemon/model/time_activity.h"
#include "daemon/model/time_readings.h"

namespace startscope {

// Which observations there were: absence of a record means something only then.
struct TimeSources {
  bool marks = true;         // counters read at marks may be used
  bool faults_timed = false; // level OBJECTS and above
  bool waits = false;        // every spell off the CPU was recorded, and none lost
  bool calls = false;
  bool samples = false;
  uint64_t sample_period_ns = 50'000;
};

// Memory that one startup's time after the other's is reckoned in.
struct TimeRoom {
  TimeReadings readings;
  std::vector<TimeActivity> activities;
};

// Splits each slice's duration into on-CPU, run-queue and blocked time of the main thread: from its
// recorded waits, as far as it was seen, or else from the scheduler's figures where they were read at
// both of its ends, or were read around it and show no time off the CPU. Sets storage_bytes likewise.
// And gives every nanosecond of each slice one reason: the shares of a slice sum to its duration
// exactly.
void AccountTime(const Evidence& evidence, const End& end, const TimeSources& sources,
                 const FileNames& names, TimeRoom* room, std::vector<PhaseSlice>* slices);

// The phases' shares added up, the largest first.
std::vector<TimeShare> AddUpBlame(const std::vector<PhaseSlice>& slices);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_TIME_LEDGER_H_
