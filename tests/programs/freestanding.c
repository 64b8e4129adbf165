// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// No libc and no main: the ELF entry point writes a line and exits 0.

static long Syscall3(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c)
                   : "rcx", "r11", "memory");
  return result;
}

__attribute__((noreturn)) void _start(void) {
  Syscall3(1, 1, (long)"hello\n", 6);
  Syscall3(231, 0, 0, 0);
  __builtin_unreachable();
}
