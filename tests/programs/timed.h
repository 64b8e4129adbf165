// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// What constructors of known cost are made of: sleeps, spins, and says how long both took by the clock.

#ifndef STARTSCOPE_TESTS_PROGRAMS_TIMED_H_
#define STARTSCOPE_TESTS_PROGRAMS_TIMED_H_

#include <stdio.h>
#include <time.h>

static long long NowNs(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void Spend(const char *name, int sleep_ms, int spin_ms) {
  const long long begin = NowNs();
  const struct timespec duration = {0, sleep_ms * 1000000L};
  if (sleep_ms != 0) nanosleep(&duration, 0);
  const long long spin_end = NowNs() + spin_ms * 1000000LL;
  while (NowNs() < spin_end) {
  }
  dprintf(1, "%s %lld\n", name, NowNs() - begin);
}

#endif  // STARTSCOPE_TESTS_PROGRAMS_TIMED_H_
