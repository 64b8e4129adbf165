// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// A library whose constructors sleep 50 ms and then spin 20 ms.

#define _GNU_SOURCE
#include <time.h>

__attribute__((constructor(101))) static void Sleep(void) {
  struct timespec duration = {0, 50 * 1000 * 1000};
  nanosleep(&duration, 0);
}

__attribute__((constructor(102))) static void Spin(void) {
  struct timespec begin, now;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  do {
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while ((now.tv_sec - begin.tv_sec) * 1000000000L + (now.tv_nsec - begin.tv_nsec) <
           20 * 1000 * 1000);
}

int SlowConstructorAnswer(void) { return 0; }
