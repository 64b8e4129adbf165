// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Changes its own text while it runs, as programs with static keys do, on the page that main is on.

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// mov $1, %eax; ret
__attribute__((naked, noinline)) static int answer(void) {
  __asm__("mov $1, %eax\n\tret");
}

int main(void) {
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  const uintptr_t first = (uintptr_t)answer & ~(page - 1);
  if (mprotect((void *)first, 2 * page, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) return 2;
  int (*volatile call)(void) = answer;
  for (uint32_t value = 1; value <= 1000; ++value) {
    memcpy((char *)answer + 1, &value, sizeof(value));
    if (call() != (int)value) return 1;
  }
  puts("1000 times another program");
  return 0;
}
