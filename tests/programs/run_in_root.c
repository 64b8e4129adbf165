// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// run_in_root COUNT ROOT PROGRAM [ARGUMENT…]: makes ROOT its root directory, then runs PROGRAM COUNT times,
// one after the other. Exits 0 if all of them did.

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  if (chroot(argv[2]) != 0 || chdir("/") != 0) {
    perror(argv[2]);
    return 2;
  }
  int failed = 0;
  for (int run = atoi(argv[1]); run > 0; --run) {
    const pid_t child = fork();
    if (child == 0) {
      execv(argv[3], argv + 3);
      perror(argv[3]);
      _exit(127);
    }
    int status = 1;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) failed = 1;
  }
  return failed;
}
