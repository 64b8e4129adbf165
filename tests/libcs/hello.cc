// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The smallest C++ program with a constructor of its own.

#include <iostream>
#include <string>

struct Early {
  std::string text{"hello"};
} early;

int main() {
  std::cout << early.text << std::endl;
  return 0;
}
