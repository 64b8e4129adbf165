// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_ELF_MARK_FINDER_H_
#define STARTSCOPE_DAEMON_ELF_MARK_FINDER_H_

#include "daemon/elf/elf_file.h"
#include "daemon/elf/image_facts.h"
#include "daemon/elf/symbol_ladder.h"

namespace startscope {

// Fills `sites` and `main_address` of classified facts: for each mark that this kind of image has,
// the best place that can be found, on an instruction start inside executable code.
void FindLoaderMarks(ElfFile* file, const SymbolLadder& symbols, ImageFacts* facts);
// The entries of dlopen and dlclose, where the file exports them.
void FindLibraryMarks(ElfFile* file, ImageFacts* facts);
void FindExecutableMarks(ElfFile* file, const SymbolLadder& symbols, ImageFacts* facts);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_MARK_FINDER_H_
