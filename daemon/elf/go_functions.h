// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_ELF_GO_FUNCTIONS_H_
#define STARTSCOPE_DAEMON_ELF_GO_FUNCTIONS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "daemon/elf/elf_file.h"

namespace startscope {

// What shows that a file was built by Go, whether stripped or not; empty when nothing does.
std::string GoEvidence(ElfFile* file);

// Visits every function that a Go executable's own table (.gopclntab) names; the runtime needs it,
// so stripping leaves it. Table versions of Go 1.2, 1.16, 1.18 and 1.20. False: no such table, or
// one that exceeds the bounds.
bool VisitGoFunctions(ElfFile* file,
                      const std::function<void(std::string_view name, uint64_t address)>& visit);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_GO_FUNCTIONS_H_
