// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/collect/drain_pacer.h"

namespace startscope {
namespace {

constexpr int kUnwatchedTickMs = 1000;
constexpr int kQuietTickMs = 20;

// While something starts, by how many do a second. Below the first rate a report is due within 5 ms.
struct Pace {
  uint64_t startups_per_second;
  int tick_ms;
};
constexpr Pace kPaces[] = {{800, 8}, {400, 4}, {0, 2}};

// Starts come in series more often than alone: the next is looked for at the short tick for so long.
constexpr uint64_t kLingerNs = 30'000'000;
constexpr uint64_t kWindowNs = 50'000'000;

}  // namespace

int DrainPacer::TickMs(uint64_t boottime_ns, bool watched) const {
  if (!watched) return kUnwatchedTickMs;
  if (boottime_ns >= busy_until_ns_) return kQuietTickMs;
  const Pace* pace = kPaces;
  while (startups_per_second_ < pace->startups_per_second) ++pace;
  return pace->tick_ms;
}

void DrainPacer::Drained(uint64_t boottime_ns, bool active, uint64_t startups_seen) {
  if (active) busy_until_ns_ = boottime_ns + kLingerNs;
  const uint64_t elapsed_ns = boottime_ns - window_begin_ns_;
  if (elapsed_ns < kWindowNs) return;
  startups_per_second_ = (startups_seen - window_startups_) * 1'000'000'000 / elapsed_ns;
  window_begin_ns_ = boottime_ns;
  window_startups_ = startups_seen;
}

}  // namespace startscope
