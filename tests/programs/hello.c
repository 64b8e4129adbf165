// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The smallest program with a libc: reaches main, writes a line, exits 0.

#include <stdio.h>

int main(void) {
  puts("hello");
  return 0;
}
