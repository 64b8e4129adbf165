// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// A constructor makes two threads, which spin, and waits for them.

#include <pthread.h>

#include "timed.h"

static void *Spin(void *name) {
  Spend(name, 0, 5);
  return 0;
}

__attribute__((constructor)) static void MakeThreads(void) {
  const long long begin = NowNs();
  pthread_t threads[2];
  for (int i = 0; i < 2; ++i) pthread_create(&threads[i], 0, Spin, "thread");
  for (int i = 0; i < 2; ++i) pthread_join(threads[i], 0);
  dprintf(1, "%s %lld\n", __func__, NowNs() - begin);
}

int main(void) { return 0; }
