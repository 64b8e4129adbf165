// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Maps, as code: the file argv[1] after deleting it, and a memfd; and reads a page of each.

#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  const int file = open(argv[1], O_RDONLY);
  if (file < 0 || unlink(argv[1]) != 0) return 1;
  volatile char *deleted = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
  const int memory = memfd_create("generated code", 0);
  if (memory < 0 || ftruncate(memory, 4096) != 0) return 1;
  volatile char *generated = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, memory, 0);
  if (deleted == MAP_FAILED || generated == MAP_FAILED) return 1;
  return deleted[0] + generated[0] == 1;
}
