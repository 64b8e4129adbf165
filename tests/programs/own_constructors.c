// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Constructors of the executable itself, of 4 and 7 ms, the first by its priority.

#include <time.h>

static void spin(long milliseconds) {
  struct timespec begin, now;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  do {
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while ((now.tv_sec - begin.tv_sec) * 1000000000 + now.tv_nsec - begin.tv_nsec <
           milliseconds * 1000000);
}

__attribute__((constructor(200))) static void constructor_of_4_ms(void) { spin(4); }
__attribute__((constructor(300))) static void constructor_of_7_ms(void) { spin(7); }

int main(void) { return 0; }
