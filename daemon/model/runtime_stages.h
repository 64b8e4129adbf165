// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// What a language runtime does of its own before it calls main.

#ifndef STARTSCOPE_DAEMON_MODEL_RUNTIME_STAGES_H_
#define STARTSCOPE_DAEMON_MODEL_RUNTIME_STAGES_H_

#include "daemon/model/boundary_finder.h"
#include "daemon/model/evidence.h"
#include "daemon/model/startup.h"

namespace startscope {

// Which observations may be used.
struct StageSources {
  bool marks = true;
  bool calls = false;  // system calls were recorded
};

// Adds the stages of the runtime as sub-marks of RUNTIME_INIT, in order of time: from marks, and
// for Rust from the system calls of std's own initialisation where no mark shows the stage. Call
// once the phases are cut.
void AddRuntimeStages(const Evidence& evidence, const StartupImages& images, const End& end,
                      const BoundaryFinder& finder, const StageSources& sources, Startup* startup);

// Fills the executable's init_calls of a Go program: consecutive functions of one package are one
// call, which lasts until something else begins. Only at level FUNCTIONS. Call once the objects are
// listed.
void AddPackageInits(const Evidence& evidence, const StartupImages& images, const End& end,
                     Startup* startup);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_RUNTIME_STAGES_H_
