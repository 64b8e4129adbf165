// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Handles its own page faults, as garbage collectors do: every one must come with the right address and code.

#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static sigjmp_buf back;
static volatile siginfo_t last;

static void on_fault(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)context;
  last = *info;
  siglongjmp(back, 1);
}

int main(void) {
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGTRAP, &action, NULL);
  const long page = sysconf(_SC_PAGESIZE);
  char *memory = mmap(NULL, 2 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(memory + page, page);
  if (sigsetjmp(back, 1) == 0) memory[1] = 1;
  printf("%d %d %td\n", last.si_signo, last.si_code, (char *)last.si_addr - memory);
  if (sigsetjmp(back, 1) == 0) memory[page] = 1;
  printf("%d %d %td\n", last.si_signo, last.si_code, (char *)last.si_addr - memory);
  // A breakpoint of its own.
  if (sigsetjmp(back, 1) == 0) __asm__ volatile("int3");
  printf("%d\n", last.si_signo);
  return 0;
}
