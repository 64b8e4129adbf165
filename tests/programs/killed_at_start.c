// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Killed by a signal in its own constructor, before main.

#include <signal.h>

__attribute__((constructor)) static void Die(void) { raise(SIGKILL); }

int main(void) { return 0; }
