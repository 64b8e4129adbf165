// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Naming the functions at file offsets of an image, with what may be its debug file: one name for
// each offset, none too long.

#include <cstdlib>
#include <string>
#include <vector>

#include "daemon/elf/symbolizer.h"
#include "tests/fuzz/split_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const startscope::SplitInput input = startscope::Split(data, size);
  startscope::MemoryByteSource image(input.first);
  startscope::MemoryByteSource debug(input.second);
  std::vector<uint64_t> offsets = {0, UINT64_MAX, size};
  for (uint64_t at = 64; at < input.first.size(); at += 1021) offsets.push_back(at);
  startscope::SymbolizeOptions options;
  options.debug_candidates = {&debug};
  const std::vector<std::string> names = startscope::FindFunctions(&image, offsets, options);
  if (names.size() != offsets.size()) std::abort();
  for (const std::string& name : names) {
    if (name.size() > 512) std::abort();
  }
  return 0;
}
