// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_LOADER_LEDGER_H_
#define STARTSCOPE_DAEMON_MODEL_LOADER_LEDGER_H_

#include "daemon/model/boundary_finder.h"
#include "daemon/model/evidence.h"
#include "daemon/model/link_map.h"
#include "daemon/model/startup.h"

namespace startscope {

struct LoaderTerms {
  bool marks = true;      // exact: what marks tell may be used
  bool searches = false;  // every system call was recorded
};

// Says of each object what the loader spent on it: on looking for it, mapping it and relocating it,
// how many relocations were due, and how thread-local storage was filled in. Expects phases and
// objects. Times of what was loaded as a dependency lie inside the phases of the same names and
// never overlap.
void AccountLoading(const Evidence& evidence, const End& end, const BoundaryFinder& finder,
                    const std::vector<LoadedObject>& loaded, const LoaderTerms& terms,
                    Startup* startup);

// The object of a startup for a file; nullptr: none.
MappedObject* ObjectOf(const FileId& file, Startup* startup);

// The slice in which a moment lies; a moment between two lies in the later; nullptr: none does.
const PhaseSlice* SliceAt(const Startup& startup, uint64_t boottime_ns);
const PhaseSlice* SliceOf(const Startup& startup, Phase phase);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_LOADER_LEDGER_H_
