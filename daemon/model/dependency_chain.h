// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_DEPENDENCY_CHAIN_H_
#define STARTSCOPE_DAEMON_MODEL_DEPENDENCY_CHAIN_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "daemon/model/evidence.h"
#include "daemon/model/startup.h"

namespace startscope {

// Says of each object what its file is and how it was linked, in which order the loader took it,
// why, who needs it, and how far from the executable (or from what was asked for by name) it is. In
// a glibc start that is the breadth-first order of the loader's own log. `objects` may be in any
// order; those mapped at the same time are taken in the order given. What is mapped after
// `dependencies_ns` (an offset from the begin; nullopt: not known) was not loaded as a dependency
// of the executable.
void ChainDependencies(const StartupImages& images, std::optional<uint64_t> dependencies_ns,
                       std::vector<MappedObject>* objects);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_DEPENDENCY_CHAIN_H_
