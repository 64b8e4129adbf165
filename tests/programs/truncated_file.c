// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Maps eight pages of the file argv[1], reads the first, truncates the file to one page and reads the
// third, which is no longer there.

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

static void on_bus_error(int signal) {
  (void)signal;
  _exit(0);
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  const int file = open(argv[1], O_RDWR);
  if (file < 0) return 1;
  volatile char *pages = mmap(NULL, 8 * 4096, PROT_READ, MAP_SHARED, file, 0);
  if (pages == MAP_FAILED) return 1;
  signal(SIGBUS, on_bus_error);
  char sum = pages[0];
  if (ftruncate(file, 4096) != 0) return 1;
  sum += pages[2 * 4096];
  return 3 + (sum == 1);  // not reached
}
