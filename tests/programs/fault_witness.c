// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Runs a command and prints the faults that the kernel charged to it since its exec, read by this
// program alone: "minor major". The child's counters are read right before execve and the total comes
// from wait4; what execve itself faults before its point of no return (copying the arguments into the
// new image) is left in, so the figure is an upper bound; `exec_overhead` of the same program and
// arguments is measured with an executable that cannot be executed: it fails at the last moment before
// that point.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct Counts {
  long minor, major;
};

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  int channel[2];
  int go[2];
  if (pipe2(channel, O_CLOEXEC) != 0 || pipe2(go, O_CLOEXEC) != 0) return 1;
  fflush(stdout);
  const pid_t pid = fork();
  if (pid == 0) {
    struct rusage usage;
    struct Counts counts;
    char byte;
    // Once without use, so that every page that the real reading touches is there.
    getrusage(RUSAGE_SELF, &usage);
    counts.minor = usage.ru_minflt;
    if (write(channel[1], &counts, 0) < 0) _exit(126);
    fprintf(stderr, "%d\n", getpid());
    if (read(go[0], &byte, 1) != 1) _exit(126);
    getrusage(RUSAGE_SELF, &usage);
    counts.minor = usage.ru_minflt;
    counts.major = usage.ru_majflt;
    if (write(channel[1], &counts, sizeof(counts)) != sizeof(counts)) _exit(126);
    execv(argv[1], argv + 1);
    _exit(127);
  }
  // Our own standard input is the starting signal.
  char byte;
  if (read(0, &byte, 1) == 1 && write(go[1], &byte, 1) != 1) return 1;
  struct Counts before;
  if (read(channel[0], &before, sizeof(before)) != sizeof(before)) return 1;
  int status;
  struct rusage usage;
  if (wait4(pid, &status, 0, &usage) != pid) return 1;
  fprintf(stderr, "%ld %ld\n", usage.ru_minflt - before.minor, usage.ru_majflt - before.major);
  return status == 0 ? 0 : 1;
}
