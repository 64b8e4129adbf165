/* SPDX-License-Identifier: Apache-2.0
 * SPDX-FileCopyrightText: The startscope authors */

/* Handles a trap, a fault and a breakpoint of its own on an alternate signal stack. */

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sigjmp_buf back;
static volatile sig_atomic_t seen[65];
static char stack[65536];
static volatile int on_stack;

static void handle(int number) {
  char here;
  on_stack += &here >= stack && &here < stack + sizeof(stack);
  seen[number]++;
  if (number == SIGSEGV) siglongjmp(back, 1);
}

int main(void) {
  const stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack)};
  struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
  if (sigaltstack(&other, NULL) != 0) return 2;
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGTRAP, &action, NULL);
  sigaction(SIGUSR1, &action, NULL);
  raise(SIGUSR1);
  __asm__ volatile("int3");
  if (sigsetjmp(back, 1) == 0) *(volatile int *)8 = 1;
  printf("usr1 %d trap %d segv %d on the stack %d\n", (int)seen[SIGUSR1], (int)seen[SIGTRAP],
         (int)seen[SIGSEGV], on_stack);
  return 0;
}
