// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Executes argv[1] in a clone3 child and returns its exit status.

#define _GNU_SOURCE
#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  struct clone_args request = {.exit_signal = SIGCHLD};
  const long pid = syscall(SYS_clone3, &request, sizeof(request));
  if (pid < 0) return 1;
  if (pid == 0) {
    char *arguments[] = {argv[1], 0};
    execv(argv[1], arguments);
    _exit(127);
  }
  int status;
  if (waitpid((pid_t)pid, &status, 0) != pid) return 1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
