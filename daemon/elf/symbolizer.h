// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_ELF_SYMBOLIZER_H_
#define STARTSCOPE_DAEMON_ELF_SYMBOLIZER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/elf/byte_source.h"

namespace startscope {

struct SymbolizeOptions {
  // What may be the file's separate debug file (debug_file.h), best first; not owned.
  std::vector<ByteSource*> debug_candidates;
};

// The names of the functions that hold the given file offsets, from .symtab, else a separate debug
// file, else .gnu_debugdata; then .dynsym or Go's function table. Parallel to `file_offsets`; empty
// where no symbol covers one. Names are as the file has them, not demangled. `fd` is only read. Any
// thread.
std::vector<std::string> FindFunctions(int fd, const std::vector<uint64_t>& file_offsets,
                                       const SymbolizeOptions& options);

// The same over any source of bytes.
std::vector<std::string> FindFunctions(ByteSource* source,
                                       const std::vector<uint64_t>& file_offsets,
                                       const SymbolizeOptions& options);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_SYMBOLIZER_H_
