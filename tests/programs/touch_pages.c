// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Touches argv[1] pages of anonymous memory, one fault each, and exits.

#include <stdlib.h>
#include <sys/mman.h>

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  const size_t pages = strtoul(argv[1], NULL, 10);
  char *memory = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  madvise(memory, pages * 4096, MADV_NOHUGEPAGE);
  for (size_t page = 0; page < pages; ++page) memory[page * 4096] = 1;
  return 0;
}
