// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_ELF_GO_INIT_H_
#define STARTSCOPE_DAEMON_ELF_GO_INIT_H_

#include <optional>
#include <string>
#include <string_view>

#include "daemon/elf/elf_file.h"
#include "daemon/elf/image_facts.h"

namespace startscope {

// Import path of the package that a function initialises, from its symbol: `net/http.init` sets the
// package's variables, `net/http.init.0` and so on are its init functions. nullopt for every other
// function, closures in these included.
std::optional<std::string> GoInitPackage(std::string_view symbol);

// Lists the functions that initialise a Go program's packages, in the order of its tables, and
// marks where the runtime is done with its own packages and begins with the program's. Without
// .symtab they come from Go's own function table.
void FindGoInits(ElfFile* file, bool has_symtab, ImageFacts* facts);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_GO_INIT_H_
