// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_ELF_RUNTIME_CLASSIFIER_H_
#define STARTSCOPE_DAEMON_ELF_RUNTIME_CLASSIFIER_H_

#include "daemon/elf/elf_file.h"
#include "daemon/elf/image_facts.h"
#include "daemon/elf/symbol_ladder.h"

namespace startscope {

// Fills kind, linkage, libc, language, libc_version and evidence of `facts`, whose interpreter,
// soname and needed are already there. Nothing here relies on symbols alone: each class is also
// recognised in a stripped file.
void ClassifyRuntime(ElfFile* file, const ElfDynamic& dynamic, const SymbolLadder& symbols,
                     bool is_loader_hint, ImageFacts* facts);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_RUNTIME_CLASSIFIER_H_
