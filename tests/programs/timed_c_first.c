// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Constructors with priorities, of which one sleeps and one spins.

#include "timed.h"

__attribute__((constructor(101))) static void SleepFirst(void) { Spend(__func__, 20, 0); }
__attribute__((constructor(102))) static void SpinSecond(void) { Spend(__func__, 0, 10); }
