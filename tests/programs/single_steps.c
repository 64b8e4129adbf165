// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// single_steps PROGRAM: runs it one instruction at a time from its first one to its end, as a debugger can.

#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  const pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    execv(argv[1], argv + 1);
    _exit(127);
  }
  int status = 0;
  long steps = 0;
  while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
    if (WSTOPSIG(status) != SIGTRAP) return 3;
    ++steps;
    ptrace(PTRACE_SINGLESTEP, child, 0, 0);
  }
  printf("exit %d after many steps: %d\n", WEXITSTATUS(status), steps > 1000);
  return WIFEXITED(status) ? 0 : 1;
}
