/* SPDX-License-Identifier: Apache-2.0
 * SPDX-FileCopyrightText: The startscope authors */

/* Once in seccomp's strict mode, any system call but read, write, _exit and sigreturn kills it. */

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) return 2;
  static const char text[] = "strict\n";
  if (write(1, text, sizeof(text) - 1) < 0) return 3;
  syscall(SYS_exit, 7);
}
