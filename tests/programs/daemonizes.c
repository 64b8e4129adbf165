// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Leaves its session and its parent, and answers from there through a pipe.

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
  int ends[2];
  if (pipe(ends) != 0) return 2;
  const pid_t child = fork();
  if (child == 0) {
    setsid();
    if (fork() != 0) _exit(0);
    const char own = getsid(0) != getpid() && getpgrp() != getpid() ? 'y' : 'n';
    write(ends[1], &own, 1);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  char answer = 0;
  close(ends[1]);
  const ssize_t got = read(ends[0], &answer, 1);
  printf("%zd %c %d\n", got, answer, status);
  return 0;
}
