// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_PHASE_POLICY_H_
#define STARTSCOPE_DAEMON_MODEL_PHASE_POLICY_H_

#include <span>

#include "daemon/model/startup.h"

namespace startscope {

// The events that phases begin with. How each is observed, best way first, is in boundary_finder.
enum class Moment : uint8_t {
  kExecBegin,           // point of no return
  kFirstInstruction,    // first instruction of the process in user mode
  kDependenciesBegin,   // the loader starts to load dependencies
  kDependenciesMapped,  // the last dependency is mapped
  kRelocated,           // all objects are relocated
  kSelfRelocated,       // a static-pie program has relocated itself
  kEntry,               // the executable's entry point
  kLibcStart,           // __libc_start_main
  kMain,                // the program's own main
};

struct PhaseRule {
  Phase phase;
  Moment begins_at;
};

// The phases of a runtime, in order of time. Adding a runtime is adding a table.
std::span<const PhaseRule> PhasePolicyFor(const RuntimeInfo& runtime, bool entry_is_main);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_PHASE_POLICY_H_
