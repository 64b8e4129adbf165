// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_ELF_INIT_FUNCTIONS_H_
#define STARTSCOPE_DAEMON_ELF_INIT_FUNCTIONS_H_

#include "daemon/elf/elf_file.h"
#include "daemon/elf/image_facts.h"

namespace startscope {

// Lists in `facts` the functions that a 64-bit x86-64 file has run before main, in the order in
// which they are called, each with the place for a probe at its begin; and counts constructors and
// destructors. Without names.
void FindInitFunctions(ElfFile* file, ImageFacts* facts);

// Names those that have no name yet, and says which source file each comes from, by one table
// (SHT_SYMTAB or SHT_DYNSYM) of `table_file`: the file itself, or its separate debug file.
void NameInitFunctions(ElfFile* table_file, uint32_t table, SiteRung rung, ImageFacts* facts);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_INIT_FUNCTIONS_H_
