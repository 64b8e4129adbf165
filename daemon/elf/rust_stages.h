// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_ELF_RUST_STAGES_H_
#define STARTSCOPE_DAEMON_ELF_RUST_STAGES_H_

#include <optional>
#include <string>
#include <string_view>

#include "daemon/elf/elf_file.h"
#include "daemon/elf/image_facts.h"

namespace startscope {

// `std::rt::init` of the legacy or the v0 mangling of a plain function; nullopt for everything
// else: closures, methods, instances of generic functions.
std::optional<std::string> RustFunctionPath(std::string_view symbol);

// Lists the functions in which std initialises itself before main, those that were not inlined,
// with the stage's name as their unit. They differ by release; all come from .symtab.
void FindRustStages(ElfFile* file, ImageFacts* facts);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_RUST_STAGES_H_
