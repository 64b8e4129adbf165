// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Executes itself argv[1] times over, then exits 0.

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
  const int left = argc > 1 ? atoi(argv[1]) : 0;
  if (left <= 0) return 0;
  char next[16];
  snprintf(next, sizeof(next), "%d", left - 1);
  char *arguments[] = {argv[0], next, 0};
  execv("/proc/self/exe", arguments);
  return 1;
}
