// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Touches memory through huge pages: 8 MiB of anonymous memory with transparent ones, and, when argv[1]
// is given, a hugetlb memfd of that many pages. Prints nothing.

#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { kHuge = 2 << 20 };

int main(int argc, char **argv) {
  const size_t bytes = 4 * (size_t)kHuge;
  char *memory =
      mmap(NULL, bytes + kHuge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  memory += (kHuge - (uintptr_t)memory % kHuge) % kHuge;
  madvise(memory, bytes, MADV_HUGEPAGE);
  for (size_t at = 0; at < bytes; at += 4096) memory[at] = 1;
  if (argc < 2) return 0;
  const size_t pages = strtoul(argv[1], NULL, 10);
  const int fd = memfd_create("huge", MFD_HUGETLB);
  if (fd < 0 || ftruncate(fd, (off_t)(pages * kHuge)) != 0) return 3;
  char *file = mmap(NULL, pages * kHuge, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (file == MAP_FAILED) return 4;
  for (size_t at = 0; at < pages * kHuge; at += 4096) file[at] = 1;
  return 0;
}
