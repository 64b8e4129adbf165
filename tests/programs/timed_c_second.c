// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// A constructor without a priority, which runs after those that have one.

#include "timed.h"

__attribute__((constructor)) static void SpinThird(void) { Spend(__func__, 0, 5); }
int TimedC(void) { return 0; }
