// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Four threads take page faults as fast as they can when the process ends.

#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static void *take_faults(void *unused) {
  (void)unused;
  const size_t bytes = 64 << 20;
  for (;;) {
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    for (size_t at = 0; at < bytes; at += 4096) memory[at] = 1;
    munmap(memory, bytes);
  }
}

int main(void) {
  pthread_t thread;
  for (int i = 0; i < 4; ++i) pthread_create(&thread, NULL, take_faults, NULL);
  const struct timespec moment = {.tv_nsec = 30 * 1000 * 1000};
  nanosleep(&moment, NULL);
  _exit(0);
}
