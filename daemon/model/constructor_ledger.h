// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_CONSTRUCTOR_LEDGER_H_
#define STARTSCOPE_DAEMON_MODEL_CONSTRUCTOR_LEDGER_H_

#include <vector>

#include "daemon/model/boundary_finder.h"
#include "daemon/model/evidence.h"
#include "daemon/model/link_map.h"
#include "daemon/model/startup.h"

namespace startscope {

struct ConstructorTerms {
  bool marks = true;      // exact: what marks tell may be used
  bool functions = true;  // level FUNCTIONS: the calls are listed
  size_t max_calls = 8192;
};

// Says of each object how long its constructors took and, at level FUNCTIONS, lists each that ran.
// Only begins are ever probed, so a call lasts until the next thing of its thread that is known to
// begin: the next constructor, the entry point, main, or the end of its phase. A constructor that
// runs others (by dlopen) ends, in these figures, where the first of them begins, and what it does
// after them belongs to the last. Objects whose constructors have no marks are told apart by the
// first instruction fetch in the pages that hold their constructors. Expects phases, objects and
// timeline.
void AccountConstructors(const Evidence& evidence, const End& end,
                         const std::vector<LoadedObject>& loaded, const ConstructorTerms& terms,
                         Startup* startup);

// Libraries that have constructors to mark, and had no marks in place when the startup began.
std::vector<const LoadedObject*> UnmarkedLibraries(const Evidence& evidence,
                                                   const std::vector<LoadedObject>& loaded);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_CONSTRUCTOR_LEDGER_H_
