// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Four threads touch 64 pages each before main.

#include <pthread.h>
#include <stdlib.h>

static void *Touch(void *unused) {
  (void)unused;
  char *memory = malloc(64 * 4096);
  for (int i = 0; i < 64; ++i) memory[i * 4096] = 1;
  free(memory);
  return 0;
}

__attribute__((constructor)) static void Start(void) {
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i) pthread_create(&threads[i], 0, Touch, 0);
  for (int i = 0; i < 4; ++i) pthread_join(threads[i], 0);
}

int main(void) { return 0; }
