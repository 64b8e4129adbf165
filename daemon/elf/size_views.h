// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_ELF_SIZE_VIEWS_H_
#define STARTSCOPE_DAEMON_ELF_SIZE_VIEWS_H_

#include "daemon/elf/elf_file.h"
#include "daemon/elf/image_facts.h"

namespace startscope {

// The sizes of a 64-bit file by its segments, its sections and its symbols, and where these do not
// agree. `link->file_bytes` is set.
//
// What is not a disagreement, and how much of it there may be:
//  - headers: the ELF header and the program headers lie in a segment and in no section, and so may
//    sections that are not loaded, between others that are; behind them, less than a page of
//    padding;
//  - padding before another section: less than its alignment, or than 64 bytes;
//  - padding behind the last section of a segment: less than 64 bytes, or than a page where the
//  segment
//    ends on a page boundary of the file;
//  - holes that tools leave where they moved a table: less than 1 KiB in a segment;
//  - read-only sections in a code segment, as linkers without -z separate-code put them: counted as
//    read-only by sections and as code by segments;
//  - .tbss: it has an address and a size and takes up neither;
//  - aliases: bytes that several symbols cover count once;
//  - code without a symbol: up to a tenth, or 4 KiB;
//  - less than a page behind the last table of the file.
void ReadSizes(ElfFile* file, LinkFacts* link);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_SIZE_VIEWS_H_
