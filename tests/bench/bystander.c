// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// bystander CPU ROUNDS: what a process that is not starting pays for things that probes hook. For each round one
// line: nanoseconds per minor fault, per system call, per pair of context switches.

#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kPages = 2048, kCalls = 100000, kSwitches = 4000, kPageBytes = 4096 };

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static double fault_ns(volatile char* memory) {
  madvise((void*)memory, kPages * kPageBytes, MADV_DONTNEED);
  const uint64_t begin = now_ns();
  for (size_t i = 0; i < kPages; ++i) memory[i * kPageBytes] = 1;
  return (double)(now_ns() - begin) / kPages;
}

static double call_ns(void) {
  const uint64_t begin = now_ns();
  for (int i = 0; i < kCalls; ++i) syscall(SYS_getppid);
  return (double)(now_ns() - begin) / kCalls;
}

static double switch_ns(int to_child, int from_child) {
  char byte = 0;
  const uint64_t begin = now_ns();
  for (int i = 0; i < kSwitches; ++i) {
    if (write(to_child, &byte, 1) != 1 || read(from_child, &byte, 1) != 1) exit(5);
  }
  return (double)(now_ns() - begin) / kSwitches;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(atoi(argv[1]), &set);
  if (sched_setaffinity(0, sizeof(set), &set) != 0) return 3;
  char* memory = mmap(NULL, kPages * kPageBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int down[2];
  int up[2];
  if (memory == MAP_FAILED || pipe(down) != 0 || pipe(up) != 0) return 4;
  // Huge pages would make one fault of them all.
  madvise(memory, kPages * kPageBytes, MADV_NOHUGEPAGE);
  const pid_t child = fork();
  if (child == 0) {
    char byte = 0;
    close(down[1]);
    while (read(down[0], &byte, 1) == 1) {
      if (write(up[1], &byte, 1) != 1) return 5;
    }
    return 0;
  }
  close(down[0]);
  for (int i = atoi(argv[2]); i > 0; --i) {
    const double fault = fault_ns(memory);
    const double call = call_ns();
    printf("%.2f %.2f %.2f\n", fault, call, switch_ns(down[1], up[0]));
    fflush(stdout);
  }
  close(down[1]);
  waitpid(child, NULL, 0);
  return 0;
}
