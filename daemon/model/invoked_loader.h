// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// A program interpreter that is executed itself: `ld.so PROGRAM`. The kernel then knows nothing of the
// program; the loader maps it before anything else (glibc elf/rtld.c, dl_main; musl ldso/dynlink.c, __dls3).

#ifndef STARTSCOPE_DAEMON_MODEL_INVOKED_LOADER_H_
#define STARTSCOPE_DAEMON_MODEL_INVOKED_LOADER_H_

#include <cstdint>

#include "daemon/elf/image_facts.h"
#include "daemon/model/evidence.h"

namespace startscope {

// Looks for the program that the executed loader, which `loader` describes, has mapped. If there is one,
// `evidence` from now on reads as if the program had been executed, except that exec.at_entry is 0, and
// this returns true. False: none yet, or what was executed is no loader.
bool TakeInvokedProgram(const ImageFacts& loader, Evidence* evidence);

// The run-time address of the executable's entry point; 0: not known. `executable` may be nullptr.
uint64_t EntryAddress(const Evidence& evidence, const ImageFacts* executable);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_INVOKED_LOADER_H_
