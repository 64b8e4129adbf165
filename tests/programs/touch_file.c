// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Maps the file argv[1], reads the pages whose numbers follow, in that order, and waits to be killed.

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  const int file = open(argv[1], O_RDONLY);
  const off_t size = lseek(file, 0, SEEK_END);
  volatile char *pages = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, file, 0);
  if (pages == MAP_FAILED) return 1;
  char sum = 0;
  for (int i = 2; i < argc; ++i) sum += pages[strtoul(argv[i], NULL, 10) * 4096];
  pause();
  return sum;
}
