// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// A library whose constructor does what STALL says, for a time in ms or with a file: "sleep:1500",
// "spin:1500", "read:/path", "stop:". Without STALL it does nothing.

#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static long NowMs(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

__attribute__((constructor)) static void Stall(void) {
  const char* how = getenv("STALL");
  const char* what = how ? strchr(how, ':') : 0;
  if (!what) return;
  ++what;
  if (how == strstr(how, "sleep:")) {
    const long ms = atol(what);
    struct timespec duration = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&duration, 0);
  } else if (how == strstr(how, "spin:")) {
    const long end = NowMs() + atol(what);
    while (NowMs() < end) {
    }
  } else if (how == strstr(how, "read:")) {
    char byte;
    const int fd = open(what, O_RDWR);
    if (read(fd, &byte, 1) != 1) _exit(1);
    close(fd);
  } else if (how == strstr(how, "stop:")) {
    raise(SIGSTOP);
  }
}

int StallingAnswer(void) { return 0; }
