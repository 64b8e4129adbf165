// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// A static object whose constructor spins.

#include "timed.h"

namespace {
struct Spinner {
  Spinner() { Spend("timed_cpp_second.cc", 0, 8); }
} spinner;
}  // namespace

extern "C" int TimedCpp() { return 0; }
