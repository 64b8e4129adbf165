// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_ELF_LINK_FACTS_H_
#define STARTSCOPE_DAEMON_ELF_LINK_FACTS_H_

#include "daemon/elf/elf_file.h"
#include "daemon/elf/image_facts.h"

namespace startscope {

// How a 64-bit x86-64 file was linked: all of LinkFacts but its sizes and its constructors.
void ReadLinkFacts(ElfFile* file, uint64_t file_bytes, LinkFacts* link);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_LINK_FACTS_H_
