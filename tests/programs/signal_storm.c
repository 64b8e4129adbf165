// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Loads and unloads a library again and again while signals arrive all the time: they land on every
// instruction, probed ones among them.

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>

static volatile sig_atomic_t signals;

static void on_alarm(int signal) {
  (void)signal;
  ++signals;
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  const struct itimerval often = {{0, 500}, {0, 500}};
  setitimer(ITIMER_REAL, &often, NULL);
  int loaded = 0;
  while (loaded < 200 || signals < 20) {
    void *library = dlopen(argv[1], RTLD_NOW);
    if (!library || dlclose(library) != 0) return 1;
    ++loaded;
  }
  puts("as often as it should");
  return 0;
}
