// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Executes argv[1] with 100 KiB of arguments.

#include <string.h>
#include <unistd.h>

#define COUNT 100

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  static char text[1024];
  memset(text, 'x', sizeof(text) - 1);
  char *arguments[COUNT + 2] = {argv[1]};
  for (int i = 0; i < COUNT; ++i) arguments[i + 1] = text;
  execv(argv[1], arguments);
  return 1;
}
