// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_INSPECT_SANDBOX_H_
#define STARTSCOPE_DAEMON_INSPECT_SANDBOX_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace startscope {

struct SandboxLimits {
  uint64_t memory_bytes = 512u << 20;  // of address space
  uint64_t cpu_seconds = 60;           // over the whole life of the process
  uint64_t descriptors = 16;           // numbers below it
};

// Takes everything from this process, which must have one thread, but computing, memory, reading
// from the descriptors it has or is sent, and talking over `socket`. In this order: a user and
// group of nobody's, no capabilities, namespaces and a root directory of its own with nothing in
// them, limits, no core and no tracing, no_new_privs, and an allow-list of system calls past which
// the kernel kills. What cannot be undone by what comes later is refused rather than left out; only
// namespaces may be missing. Returns what the sandbox is made of and what is missing, as text.
absl::StatusOr<std::string> EnterSandbox(int socket, const SandboxLimits& limits);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_INSPECT_SANDBOX_H_
