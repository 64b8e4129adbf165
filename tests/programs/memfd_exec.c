// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Executes a copy of the program argv[1] from a memfd.

#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv, char **environment) {
  if (argc < 2) return 2;
  const int from = open(argv[1], O_RDONLY | O_CLOEXEC);
  const int to = memfd_create("copied program", MFD_CLOEXEC);
  struct stat status;
  if (from < 0 || to < 0 || fstat(from, &status) != 0) return 1;
  for (off_t left = status.st_size; left > 0;) {
    const ssize_t sent = sendfile(to, from, NULL, (size_t)left);
    if (sent <= 0) return 1;
    left -= sent;
  }
  fexecve(to, argv + 1, environment);
  return 1;
}
