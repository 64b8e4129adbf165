// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Computes for argv[1] milliseconds of CPU time.

#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv) {
  const long wanted_ns = argc > 1 ? atol(argv[1]) * 1000000 : 0;
  struct timespec used;
  do {
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  } while (used.tv_sec * 1000000000L + used.tv_nsec < wanted_ns);
  return 0;
}
