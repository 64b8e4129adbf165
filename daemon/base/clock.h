// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_BASE_CLOCK_H_
#define STARTSCOPE_DAEMON_BASE_CLOCK_H_

#include <time.h>

#include <cstdint>

namespace startscope {

// CLOCK_BOOTTIME in nanoseconds: the clock of all event times.
inline uint64_t BoottimeNs() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

// What to add to a boot-clock time to get nanoseconds since the Unix epoch, at this moment.
inline int64_t RealtimeMinusBoottimeNs() {
  timespec wall{};
  clock_gettime(CLOCK_REALTIME, &wall);
  const int64_t wall_ns = static_cast<int64_t>(wall.tv_sec) * 1'000'000'000 + wall.tv_nsec;
  return wall_ns - static_cast<int64_t>(BoottimeNs());
}

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_BASE_CLOCK_H_
