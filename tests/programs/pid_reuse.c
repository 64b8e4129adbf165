// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Starts COUNT programs in pairs of parent and child, all of them with one of RANGE process ids from
// FIRST on: an id means another process within the millisecond. `pid_reuse COUNT FIRST RANGE` needs
// CAP_CHECKPOINT_RESTORE. Each start writes "NAME PID PARENT START_TICKS" as it sees itself; its name
// is its argv[0].

#define _GNU_SOURCE
#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int first, range;
static char own_path[4096];

static unsigned long long start_ticks(void) {
  char text[1024];
  FILE *file = fopen("/proc/self/stat", "r");
  if (!file) return 0;
  const size_t length = fread(text, 1, sizeof(text) - 1, file);
  fclose(file);
  text[length] = 0;
  const char *at = strrchr(text, ')');
  for (int field = 2; at && field < 22; ++field) at = strchr(at + 1, ' ');
  return at ? strtoull(at + 1, 0, 10) : 0;
}

// Executes this program as `name` in a process with the first free id of the range after `wanted`.
static int start(const char *name, int wanted, const char *next) {
  for (int tries = 0; tries < range; ++tries) {
    pid_t id = first + (wanted + tries) % range;
    struct clone_args request = {
        .exit_signal = SIGCHLD, .set_tid = (uintptr_t)&id, .set_tid_size = 1};
    const long pid = syscall(SYS_clone3, &request, sizeof(request));
    if (pid < 0 && errno == EEXIST) continue;
    if (pid < 0) return perror("clone3"), 1;
    if (pid == 0) {
      char first_text[16], range_text[16];
      snprintf(first_text, sizeof(first_text), "%d", first);
      snprintf(range_text, sizeof(range_text), "%d", range);
      execl(own_path, name, "start", first_text, range_text, next, (char *)0);
      _exit(127);
    }
    int status;
    if (waitpid((pid_t)pid, &status, 0) != pid || status != 0) return 1;
    return 0;
  }
  fputs("no id of the range is free\n", stderr);
  return 1;
}

int main(int argc, char **argv) {
  const ssize_t length = readlink("/proc/self/exe", own_path, sizeof(own_path) - 1);
  if (length <= 0 || argc < 4) return 2;
  first = atoi(argv[2]);
  range = atoi(argv[3]);
  if (strcmp(argv[1], "start") != 0) {
    const int count = atoi(argv[1]);
    for (int i = 0; i + 1 < count; i += 2) {
      char name[16], next[16];
      snprintf(name, sizeof(name), "p%d", i);
      snprintf(next, sizeof(next), "%d", i + 1);
      if (start(name, i * 3, next) != 0) return 1;
    }
    return 0;
  }
  char line[64];
  const int bytes = snprintf(line, sizeof(line), "%s %d %d %llu\n", argv[0], getpid(), getppid(),
                             start_ticks());
  if (write(1, line, (size_t)bytes) != bytes) return 3;
  if (argc < 5 || argv[4][0] == '-') return 0;
  char name[16];
  snprintf(name, sizeof(name), "c%s", argv[4]);
  return start(name, atoi(argv[4]) * 5, "-");
}
