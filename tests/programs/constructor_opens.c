// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// A constructor of the program opens a library that has constructors itself.

#include <dlfcn.h>

#include "timed.h"

__attribute__((constructor)) static void OpenInConstructor(void) {
  if (!dlopen("libtimed_c.so", RTLD_NOW)) dprintf(1, "%s\n", dlerror());
}

int main(void) { return 0; }
