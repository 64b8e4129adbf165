// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Executes argv[1] in a vfork child and returns its exit status.

#define _DEFAULT_SOURCE
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  char *arguments[] = {argv[1], 0};
  const pid_t pid = vfork();
  if (pid == 0) {
    execv(argv[1], arguments);
    _exit(127);
  }
  int status;
  if (waitpid(pid, &status, 0) != pid) return 1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
