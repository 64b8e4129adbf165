// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_TESTS_FUZZ_SPLIT_INPUT_H_
#define STARTSCOPE_TESTS_FUZZ_SPLIT_INPUT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace startscope {

// An input of two files: the length of the first in four bytes, the first, the second.
struct SplitInput {
  std::span<const uint8_t> first;
  std::span<const uint8_t> second;
};

inline SplitInput Split(const uint8_t* data, size_t size) {
  uint32_t length = 0;
  if (size < sizeof(length)) return {};
  std::memcpy(&length, data, sizeof(length));
  const std::span<const uint8_t> rest(data + sizeof(length), size - sizeof(length));
  const size_t first = std::min<size_t>(length, rest.size());
  return {rest.first(first), rest.subspan(first)};
}

}  // namespace startscope

#endif  // STARTSCOPE_TESTS_FUZZ_SPLIT_INPUT_H_
