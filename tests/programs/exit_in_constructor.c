// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Leaves with status 7 before main.

#include <unistd.h>

__attribute__((constructor)) static void Leave(void) { _exit(7); }

int main(void) { return 0; }
