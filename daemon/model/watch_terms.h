// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_WATCH_TERMS_H_
#define STARTSCOPE_DAEMON_MODEL_WATCH_TERMS_H_

#include <cstdint>

#include "daemon/model/startup.h"

namespace startscope {

// What a watch asks to be measured, and until when. Which startups it is about is a matter of filters.
struct WatchTerms {
  Level level = Level::kPhases;
  Precision precision = Precision::kExact;
  bool until_exit = false;
  bool waits = false;          // every spell off the CPU, with its reason
  bool syscalls = false;       // every system call
  bool samples = false;        // clock samples
  bool loader_events = false;  // what is loaded after the startup
  uint64_t deadline_ns = 0;    // 0: none
  uint64_t stuck_after_ns = 0;  // tell of startups that last longer; 0: do not
  // What the kernel side can tell at this level: pages brought into the page cache, and the windows
  // mapped around faults.
  bool pages_read_known = true;
  bool windows_known = true;

  friend bool operator==(const WatchTerms&, const WatchTerms&) = default;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_WATCH_TERMS_H_
