// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_ELF_FUNCTION_CHECK_H_
#define STARTSCOPE_DAEMON_ELF_FUNCTION_CHECK_H_

#include <cstdint>

#include "daemon/elf/elf_file.h"

namespace startscope {

// Whether a function may begin at `address`, as the image itself has it, whatever a symbol table
// says: its unwinding table has one there or, where that describes no function that holds the
// address, an instruction begins there when the code before it is decoded. A probe there is inside
// no instruction.
bool MayBeginFunction(ElfFile* image, uint64_t address);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_FUNCTION_CHECK_H_
