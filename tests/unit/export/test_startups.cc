// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "tests/unit/export/test_startups.h"

namespace startscope {

using namespace startscope::v1;  // NOLINT: message types and enumerators

Startup TestStartup(const std::string& executable) {
  Startup startup;
  startup.set_startup_id("4711-" + executable);
  startup.mutable_exec_time()->set_seconds(1'700'000'000);
  startup.mutable_exec_time()->set_nanos(5);
  startup.set_total_ns(4'000'000);
  startup.set_outcome(OUTCOME_REACHED);
  startup.set_begin_boottime_ns(99);
  Process& process = *startup.mutable_process();
  process.set_pid(42);
  process.set_parent_pid(1);
  process.set_uid(1000);
  process.set_comm("program");
  process.set_executable(executable);
  startup.mutable_runtime()->set_libc(LIBC_GLIBC);
  startup.mutable_runtime()->set_linkage(LINKAGE_DYNAMIC);
  startup.mutable_runtime()->set_language(LANGUAGE_C_OR_CPP);
  PhaseSlice& exec = *startup.add_phases();
  exec.set_phase(PHASE_KERNEL_EXEC);
  exec.set_duration_ns(1'000'000);
  exec.set_minor_faults(7);
  exec.set_major_faults(1);
  exec.set_end_source(BOUNDARY_SOURCE_ENTRY_UPROBE);
  PhaseSlice& relocation = *startup.add_phases();
  relocation.set_phase(PHASE_RELOCATION);
  relocation.set_offset_ns(1'000'000);
  relocation.set_duration_ns(3'000'000);
  relocation.set_minor_faults(2);
  TimeShare& share = *startup.add_blame();
  share.set_reason(TIME_REASON_RUNNING);
  share.set_duration_ns(4'000'000);
  return startup;
}

}  // namespace startscope
