// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Maps two files by turns at one address and reads one page of each: argv[1] turns, argv[2] and argv[3]
// the files. Two faults a turn, one on each; what was there before is replaced, or unmapped first.

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  const unsigned long turns = strtoul(argv[1], NULL, 10);
  const int files[2] = {open(argv[2], O_RDONLY), open(argv[3], O_RDONLY)};
  char *const place = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (files[0] < 0 || files[1] < 0 || place == MAP_FAILED) return 1;
  int sum = 0;
  for (unsigned long turn = 0; turn < turns; ++turn) {
    for (int which = 0; which < 2; ++which) {
      if (turn % 2 != 0) munmap(place, 4096);
      volatile char *page =
          mmap(place, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, files[which], 0);
      if (page == MAP_FAILED) return 1;
      sum += *page;
    }
  }
  return sum == -1;
}
