// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_ELF_RUST_MARKS_H_
#define STARTSCOPE_DAEMON_ELF_RUST_MARKS_H_

#include "daemon/elf/elf_file.h"
#include "daemon/elf/image_facts.h"
#include "daemon/elf/symbol_ladder.h"

namespace startscope {

// Finds the crate's main behind the C main at `c_main`, which was found on `rung`, and marks both.
// A program whose C main only happens to be linked with Rust code is reclassified as C or C++ when
// its symbols tell.
void FindRustMarks(ElfFile* file, const SymbolLadder& symbols, uint64_t c_main, SiteRung rung,
                   ImageFacts* facts);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_RUST_MARKS_H_
