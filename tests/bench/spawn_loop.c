// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// spawn_loop CPU COUNT PROGRAM [ARGUMENT…]: starts the program COUNT times, one after the other, and writes
// one line for each to standard output: wall time from posix_spawn to the end of wait4, and CPU time of the
// child by its rusage, in nanoseconds. Runs on one CPU (-1: on any), and its children with it. Their standard
// output and error go nowhere.

#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char** environ;

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t cpu_ns(const struct rusage* usage) {
  return ((uint64_t)usage->ru_utime.tv_sec + (uint64_t)usage->ru_stime.tv_sec) * 1000000000 +
         ((uint64_t)usage->ru_utime.tv_usec + (uint64_t)usage->ru_stime.tv_usec) * 1000;
}

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const int cpu = atoi(argv[1]);
  const size_t count = strtoul(argv[2], NULL, 10);
  if (cpu >= 0) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0) return 3;
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  uint64_t* wall = calloc(count, sizeof(*wall));
  uint64_t* cpu_time = calloc(count, sizeof(*cpu_time));
  if (wall == NULL || cpu_time == NULL) return 4;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t begin = now_ns();
    pid_t child = 0;
    if (posix_spawn(&child, argv[3], &actions, NULL, argv + 3, environ) != 0) return 5;
    int status = 0;
    struct rusage usage;
    if (wait4(child, &status, 0, &usage) != child) return 6;
    wall[i] = now_ns() - begin;
    cpu_time[i] = cpu_ns(&usage);
    if (!WIFEXITED(status)) return 7;
  }
  for (size_t i = 0; i < count; ++i) {
    printf("%llu %llu\n", (unsigned long long)wall[i], (unsigned long long)cpu_time[i]);
  }
  return 0;
}
