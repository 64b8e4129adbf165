// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// A static object whose constructor sleeps.

#include "timed.h"

namespace {
struct Sleeper {
  Sleeper() { Spend("timed_cpp_first.cc", 15, 0); }
} sleeper;
}  // namespace
