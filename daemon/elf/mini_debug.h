// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_ELF_MINI_DEBUG_H_
#define STARTSCOPE_DAEMON_ELF_MINI_DEBUG_H_

#include <cstdint>
#include <vector>

#include "daemon/elf/elf_file.h"

namespace startscope {

// The ELF file with a symbol table that some distributions leave in a stripped one, xz-compressed
// in its section .gnu_debugdata ("MiniDebugInfo"). Empty when there is none, or when it is damaged
// or beyond the bounds: 16 MiB compressed, 64 MiB and 64 times that unpacked, 64 MiB for unpacking.
std::vector<uint8_t> ReadMiniDebug(ElfFile* image);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_MINI_DEBUG_H_
