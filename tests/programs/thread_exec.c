// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// A thread that is not the leader executes argv[1].

#include <pthread.h>
#include <unistd.h>

static void *Exec(void *program) {
  char *arguments[] = {program, 0};
  execv(program, arguments);
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  pthread_t thread;
  if (pthread_create(&thread, 0, Exec, argv[1]) != 0) return 1;
  pthread_join(thread, 0);
  return 1;  // reached only if exec failed
}
