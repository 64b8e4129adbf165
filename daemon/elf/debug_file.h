// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_ELF_DEBUG_FILE_H_
#define STARTSCOPE_DAEMON_ELF_DEBUG_FILE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/elf/byte_source.h"
#include "daemon/elf/elf_file.h"

namespace startscope {

// How a file names its separate debug file. Nothing here opens one: whoever has the reader run
// does, and hands over what it found.
struct DebugReference {
  std::string build_id;   // lower-case hexadecimal; empty: none
  std::string link_name;  // of .gnu_debuglink, without any '/'; empty: none
  uint32_t link_checksum = 0;
};

bool HasSymbolTable(const ElfFile& file);

DebugReference ReadDebugReference(ElfFile* image);

// What to look for: nullopt when the file has a symbol table of its own, or names no other.
std::optional<DebugReference> WantedDebugFile(ByteSource* image);

// Those of `candidates` that are the file meant and have a symbol table: they have the same
// build-id or, for an image without one, the checksum. That says nothing of what is in them.
std::vector<ByteSource*> MatchDebugFiles(ElfFile* image,
                                         const std::vector<ByteSource*>& candidates);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_DEBUG_FILE_H_
