// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// bystander CPU: what a process that is not starting pays for things that probes hook. For each line "fault N",
// "call N" or "switch N" that it reads it prints N lines: nanoseconds per minor fault, per system call, per pair of
// context switches, of one short burst each. Runs on that CPU, before others.

#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// A burst of each takes about a millisecond: short beside what else disturbs.
enum { kPages = 1024, kCalls = 10000, kSwitches = 300, kPageBytes = 4096, kPriority = -12 };

struct bystander {
  volatile char* memory;
  int to_child;
  int from_child;
};

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static double fault_ns(const struct bystander* self) {
  madvise((void*)self->memory, kPages * kPageBytes, MADV_DONTNEED);
  const uint64_t begin = now_ns();
  for (size_t i = 0; i < kPages; ++i) self->memory[i * kPageBytes] = 1;
  return (double)(now_ns() - begin) / kPages;
}

static double call_ns(const struct bystander* self) {
  (void)self;
  const uint64_t begin = now_ns();
  for (int i = 0; i < kCalls; ++i) syscall(SYS_getppid);
  return (double)(now_ns() - begin) / kCalls;
}

static double switch_ns(const struct bystander* self) {
  char byte = 0;
  const uint64_t begin = now_ns();
  for (int i = 0; i < kSwitches; ++i) {
    if (write(self->to_child, &byte, 1) != 1 || read(self->from_child, &byte, 1) != 1) exit(5);
  }
  return (double)(now_ns() - begin) / kSwitches;
}

static const struct {
  const char* name;
  double (*burst)(const struct bystander*);
} kThings[] = {{"fault", fault_ns}, {"call", call_ns}, {"switch", switch_ns}};

static int serve(const struct bystander* self) {
  char name[16];
  int bursts;
  while (scanf("%15s %d", name, &bursts) == 2) {
    size_t thing = 0;
    while (strcmp(kThings[thing].name, name) != 0) {
      if (++thing == sizeof(kThings) / sizeof(kThings[0])) return 2;
    }
    while (bursts-- > 0) printf("%.2f\n", kThings[thing].burst(self));
    fflush(stdout);
  }
  return 0;
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(atoi(argv[1]), &set);
  if (sched_setaffinity(0, sizeof(set), &set) != 0) return 3;
  if (setpriority(PRIO_PROCESS, 0, kPriority) != 0) return 3;
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
  const struct bystander self = {memory, down[1], up[0]};
  const int status = serve(&self);
  close(down[1]);
  waitpid(child, NULL, 0);
  return status;
}
