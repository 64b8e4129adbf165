// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Executes CPUID argv[1] times before main and prints how many nanoseconds that took.

#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static long long took_ns;

__attribute__((constructor)) static void identify(int argc, char **argv) {
  const unsigned long times = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
  struct timespec begin, end;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (unsigned long i = 0; i < times; ++i) {
    unsigned a, b, c, d;
    __cpuid(0, a, b, c, d);
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  took_ns = (end.tv_sec - begin.tv_sec) * 1000000000LL + (end.tv_nsec - begin.tv_nsec);
}

int main(void) {
  printf("%lld\n", took_ns);
  return 0;
}
