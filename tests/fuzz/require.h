// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_TESTS_FUZZ_REQUIRE_H_
#define STARTSCOPE_TESTS_FUZZ_REQUIRE_H_

#include <cstdio>
#include <cstdlib>

namespace startscope {

// What does not hold is a finding: libFuzzer keeps the input. An optimised stack does not tell
// which of several it was.
inline void Require(bool holds, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  if (holds) return;
  std::fprintf(stderr, "%s:%d: does not hold\n", file, line);
  std::abort();
}

}  // namespace startscope

#endif  // STARTSCOPE_TESTS_FUZZ_REQUIRE_H_
