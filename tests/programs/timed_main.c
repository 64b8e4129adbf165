// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Needs libraries with constructors of known cost, and has one of its own.

#include "timed.h"

int TimedC(void);
#ifdef WITH_CPP
int TimedCpp(void);
#endif

__attribute__((constructor)) static void SleepInProgram(void) { Spend(__func__, 5, 0); }

int main(void) {
#ifdef WITH_CPP
  if (TimedCpp() != 0) return 1;
#endif
  return TimedC();
}
