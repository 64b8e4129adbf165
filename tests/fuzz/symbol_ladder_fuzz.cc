// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The tables of symbols of an image, of what may be its debug file and of what it carries
// compressed: whatever is in them, a name asked for is that name, and the whole inspection holds.

#include <cstdlib>
#include <optional>

#include "daemon/elf/image_inspector.h"
#include "daemon/elf/mini_debug.h"
#include "daemon/elf/symbol_ladder.h"
#include "tests/fuzz/split_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const startscope::SplitInput input = startscope::Split(data, size);
  startscope::MemoryByteSource image(input.first);
  startscope::MemoryByteSource debug(input.second);
  startscope::ElfFile file(&image);
  if (file.error().empty() && file.is_64_bit()) {
    const std::vector<uint8_t> unpacked = startscope::ReadMiniDebug(&file);
    startscope::MemoryByteSource mini(unpacked);
    const startscope::SymbolLadder ladder(&file, {{&debug}, unpacked.empty() ? nullptr : &mini});
    for (const char* name : {"main", "dl_main", "_dl_debug_state", "__libc_start_main",
                             "runtime.main", "_dl_relocate_object"}) {
      const std::optional<startscope::FoundSymbol> found = ladder.Find(name);
      if (found && (found->name != name || found->address == 0)) std::abort();
    }
  }
  startscope::MemoryByteSource again(input.first);
  startscope::MemoryByteSource candidate(input.second);
  startscope::InspectOptions options;
  options.debug_candidates = {&candidate};
  options.is_library = size % 2 != 0;
  startscope::InspectImage(&again, options);
  return 0;
}
