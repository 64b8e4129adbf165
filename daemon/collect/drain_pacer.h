// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_COLLECT_DRAIN_PACER_H_
#define STARTSCOPE_DAEMON_COLLECT_DRAIN_PACER_H_

#include <cstdint>

namespace startscope {

// How long the core thread sleeps until it empties the rings again. They are emptied on a timer, because a
// wake-up from inside the traced process costs it more than everything else that is done there; but the
// timer's own interrupt is taken from somebody too, most often from the traced process: an idle CPU's
// timers run on a busy one, which then wakes the idle one. So the sleep is short only while a report is
// worth it, and longer the more startups it serves. One thread.
class DrainPacer {
 public:
  // What to wait for at most from now on. `watched`: somebody watches.
  [[nodiscard]] int TickMs(uint64_t boottime_ns, bool watched) const;

  // The rings were emptied. `active`: there was something in them; `startups_seen`: begun since the
  // daemon's start.
  void Drained(uint64_t boottime_ns, bool active, uint64_t startups_seen);

 private:
  uint64_t busy_until_ns_ = 0;
  // The window over which starts are counted.
  uint64_t window_begin_ns_ = 0;
  uint64_t window_startups_ = 0;
  uint64_t startups_per_second_ = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_COLLECT_DRAIN_PACER_H_
