// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// A static object whose constructor takes 9 ms.

#include <chrono>

namespace {
struct Slow {
  Slow() {
    const auto begin = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(9)) {
    }
  }
} slow;
}  // namespace

int main() {}
