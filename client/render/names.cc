// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/names.h"

#include <string.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/render/text_sanitizer.h"
#include "client/render/units.h"

namespace startscope {
namespace {

using namespace startscope::v1;  // NOLINT: the enumerators below would drown in the prefix

template <typename Enum>
struct Named {
  Enum value;
  const char* name;
};

template <typename Enum, size_t size>
std::string Lookup(const Named<Enum> (&table)[size], Enum value, const char* kind) {
  for (const auto& entry : table) {
    if (entry.value == value) return entry.name;
  }
  return absl::StrCat(kind, " ", static_cast<int>(value));
}

constexpr Named<Phase> kPhases[] = {
    {PHASE_SPAWN, "spawn"},
    {PHASE_KERNEL_EXEC, "kernel exec"},
    {PHASE_LOADER_BOOTSTRAP, "loader bootstrap"},
    {PHASE_DEPENDENCY_MAPPING, "dependency mapping"},
    {PHASE_RELOCATION, "relocation"},
    {PHASE_CONSTRUCTORS, "constructors"},
    {PHASE_RUNTIME_INIT, "runtime init"},
    {PHASE_MAIN, "main"},
};

constexpr Named<BoundarySource> kSources[] = {
    {BOUNDARY_SOURCE_UNSPECIFIED, "unknown"},
    {BOUNDARY_SOURCE_TRACEPOINT, "tracepoint"},
    {BOUNDARY_SOURCE_SDT, "SDT probe"},
    {BOUNDARY_SOURCE_SYMBOL_UPROBE, "symbol"},
    {BOUNDARY_SOURCE_CALL_SITE_UPROBE, "call site"},
    {BOUNDARY_SOURCE_FIRST_FAULT, "first fault"},
    {BOUNDARY_SOURCE_MAPPING, "mapping"},
    {BOUNDARY_SOURCE_INFERRED, "inferred"},
    {BOUNDARY_SOURCE_ENTRY_UPROBE, "entry point"},
    {BOUNDARY_SOURCE_DEBUG_FILE_UPROBE, "debug symbol"},
    {BOUNDARY_SOURCE_DYNSYM_UPROBE, "dynamic symbol"},
    {BOUNDARY_SOURCE_MINI_DEBUG_UPROBE, "mini debug symbol"},
    {BOUNDARY_SOURCE_GO_TABLE_UPROBE, "Go function table"},
};

constexpr Named<MilestoneKind> kMilestones[] = {
    {MILESTONE_KIND_MAIN, "main"},         {MILESTONE_KIND_LISTEN, "listen"},
    {MILESTONE_KIND_NOTIFY, "notify"},     {MILESTONE_KIND_OUTPUT, "first output"},
    {MILESTONE_KIND_RESPONSE, "response"}, {MILESTONE_KIND_SYMBOL, "symbol"},
    {MILESTONE_KIND_EXIT, "exit"},
};

constexpr Named<LossStage> kLossStages[] = {
    {LOSS_STAGE_UNSPECIFIED, "unknown stage"},
    {LOSS_STAGE_KERNEL_RING, "kernel ring"},
    {LOSS_STAGE_MAPPING_RING, "mapping ring"},
    {LOSS_STAGE_DECODE, "decode"},
    {LOSS_STAGE_MODEL, "model"},
    {LOSS_STAGE_SUBSCRIBER, "subscriber"},
    {LOSS_STAGE_THROTTLED, "throttled"},
    {LOSS_STAGE_KERNEL_STATE, "kernel state"},
    {LOSS_STAGE_IMAGES, "images"},
    {LOSS_STAGE_KEPT, "kept startups"},
    {LOSS_STAGE_EARLY, "early records"},
    {LOSS_STAGE_DETAILS, "details"},
    {LOSS_STAGE_LOADER, "loader events"},
};

constexpr Named<ProbeState> kProbeStates[] = {
    {PROBE_STATE_UNSPECIFIED, "unknown"},
    {PROBE_STATE_IDLE, "idle"},
    {PROBE_STATE_ATTACHED, "attached"},
    {PROBE_STATE_UNAVAILABLE, "unavailable"},
};

constexpr Named<TimeReason> kReasons[] = {
    {TIME_REASON_RUNNING, "running"},          {TIME_REASON_MINOR_FAULT, "minor faults"},
    {TIME_REASON_MAJOR_FAULT, "major faults"}, {TIME_REASON_KERNEL_EXEC, "kernel exec"},
    {TIME_REASON_SYSCALL, "system calls"},     {TIME_REASON_RUN_QUEUE, "run queue"},
    {TIME_REASON_THROTTLED, "CPU quota"},      {TIME_REASON_BLOCKED_IO, "storage"},
    {TIME_REASON_BLOCKED_OTHER, "blocked"},    {TIME_REASON_CPUID_TRAP, "CPUID trap"},
    {TIME_REASON_UNEXPLAINED, "unexplained"},
};

constexpr Named<StartTemperature> kTemperatures[] = {
    {START_TEMPERATURE_WARM, "warm"},
    {START_TEMPERATURE_PARTLY_COLD, "partly cold"},
    {START_TEMPERATURE_COLD, "cold"},
    {START_TEMPERATURE_NOT_WARM, "not warm"},
};

constexpr Named<MappingOperation> kOperations[] = {
    {MAPPING_OPERATION_MMAP, "mmap"},     {MAPPING_OPERATION_MPROTECT, "mprotect"},
    {MAPPING_OPERATION_MUNMAP, "munmap"}, {MAPPING_OPERATION_BRK, "brk"},
    {MAPPING_OPERATION_MREMAP, "mremap"}, {MAPPING_OPERATION_EXEC, "mapped by exec"},
};

constexpr Named<WaitReason> kWaits[] = {
    {WAIT_REASON_PREEMPTED, "preempted"},
    {WAIT_REASON_IO, "waited for storage"},
    {WAIT_REASON_OTHER, "blocked"},
};

constexpr Named<LoadReason> kLoadReasons[] = {
    {LOAD_REASON_UNSPECIFIED, ""},
    {LOAD_REASON_EXECUTABLE, ""},
    {LOAD_REASON_NEEDED, ""},
    {LOAD_REASON_INTERPRETER, "interpreter"},
    {LOAD_REASON_PRELOAD, "preload"},
    {LOAD_REASON_DLOPEN, "dlopen"},
    {LOAD_REASON_KERNEL, "by the kernel"},
};

constexpr Named<InitKind> kInitKinds[] = {
    {INIT_KIND_UNSPECIFIED, ""},          {INIT_KIND_PREINIT_ARRAY, "preinit"},
    {INIT_KIND_INIT, "DT_INIT"},          {INIT_KIND_INIT_ARRAY, "constructor"},
    {INIT_KIND_GO_PACKAGE, "Go package"}, {INIT_KIND_RUNTIME_STAGE, "runtime"},
};

constexpr Named<RelroKind> kRelros[] = {
    {RELRO_KIND_UNSPECIFIED, ""},
    {RELRO_KIND_NONE, "none"},
    {RELRO_KIND_PARTIAL, "partial"},
    {RELRO_KIND_FULL, "full"},
};

constexpr Named<StuckActivity> kActivities[] = {
    {STUCK_ACTIVITY_UNSPECIFIED, ""},
    {STUCK_ACTIVITY_RUNNING, "running"},
    {STUCK_ACTIVITY_RUNNABLE, "waiting for a CPU"},
    {STUCK_ACTIVITY_BLOCKED_IO, "blocked on storage"},
    {STUCK_ACTIVITY_BLOCKED_OTHER, "blocked"},
    {STUCK_ACTIVITY_STOPPED, "stopped"},
};

constexpr Named<Libc> kLibcs[] = {
    {LIBC_GLIBC, "glibc"}, {LIBC_MUSL, "musl"},    {LIBC_NONE, "no libc"},
    {LIBC_UNKNOWN, ""},    {LIBC_UNSPECIFIED, ""},
};

constexpr Named<Linkage> kLinkages[] = {
    {LINKAGE_DYNAMIC, "dynamic"},
    {LINKAGE_STATIC, "static"},
    {LINKAGE_STATIC_PIE, "static PIE"},
    {LINKAGE_UNSPECIFIED, ""},
};

constexpr Named<Language> kLanguages[] = {
    {LANGUAGE_C_OR_CPP, "C/C++"}, {LANGUAGE_RUST, "Rust"},    {LANGUAGE_GO, "Go"},
    {LANGUAGE_UNKNOWN, ""},       {LANGUAGE_UNSPECIFIED, ""},
};

struct Described {
  DegradationKind kind;
  const char* what;
  const char* advice;
};

// General advice, for a degradation that comes without a detail of its own.
constexpr Described kDegradations[] = {
    {DEGRADATION_KIND_RECORDS_LOST, "records were lost", "figures are lower bounds; watch less"},
    {DEGRADATION_KIND_PROBE_UNAVAILABLE, "a probe is not available", "see startscope status"},
    {DEGRADATION_KIND_STRIPPED, "no symbol names its main",
     "install its debug symbols for an exact boundary"},
    {DEGRADATION_KIND_FIRST_SEEN, "first start seen of this file",
     "its probes are in place now: run it again"},
    {DEGRADATION_KIND_LATE_BEGIN, "begins later than the exec did",
     "kernel exec is longer than shown"},
    {DEGRADATION_KIND_MAIN_NOT_OBSERVED, "main was not observed", ""},
    {DEGRADATION_KIND_LIMIT_REACHED, "a bound of the daemon was reached", ""},
    {DEGRADATION_KIND_UNREADABLE_IMAGE, "a file could not be read or understood",
     "boundaries inside it are missing"},
    {DEGRADATION_KIND_INCONSISTENT, "records contradicted one another",
     "do not rely on these figures"},
    {DEGRADATION_KIND_BOUNDARY_NOT_OBSERVED, "a boundary was not observed",
     "the phases beside it absorb it"},
    {DEGRADATION_KIND_PERTURBED, "another watch's breakpoints were in this process",
     "its fault counts are not untouched"},
};

std::string ExitPhrase(const Startup& startup) {
  if (!startup.has_exit_status()) return "exited";
  const uint32_t status = startup.exit_status();
  if ((status & 0x7f) != 0) return absl::StrCat("killed by ", SignalName(status & 0x7f));
  return absl::StrCat("exited with status ", status >> 8 & 0xff);
}

// The milestone that ended it, when one lies exactly at the end.
MilestoneKind EndMilestone(const Startup& startup) {
  for (auto it = startup.milestones().rbegin(); it != startup.milestones().rend(); ++it) {
    if (it->offset_ns() == startup.total_ns()) return it->kind();
  }
  return MILESTONE_KIND_UNSPECIFIED;
}

}  // namespace

std::string PhaseName(Phase phase) { return Lookup(kPhases, phase, "phase"); }
std::string SourceName(BoundarySource source) { return Lookup(kSources, source, "source"); }
std::string MilestoneName(MilestoneKind kind) { return Lookup(kMilestones, kind, "milestone"); }
std::string LossStageName(LossStage stage) { return Lookup(kLossStages, stage, "stage"); }
std::string ReasonName(TimeReason reason) { return Lookup(kReasons, reason, "reason"); }

std::string TemperatureName(StartTemperature temperature) {
  return Lookup(kTemperatures, temperature, "temperature");
}

std::string OperationName(MappingOperation operation) {
  return Lookup(kOperations, operation, "operation");
}

std::string WaitName(WaitReason reason) { return Lookup(kWaits, reason, "wait"); }

std::string LoadReasonNote(LoadReason reason) { return Lookup(kLoadReasons, reason, "reason"); }

std::string InitKindName(InitKind kind) { return Lookup(kInitKinds, kind, "kind"); }
std::string RelroName(RelroKind kind) { return Lookup(kRelros, kind, "relro"); }

std::string ActivityName(StuckActivity activity) {
  return Lookup(kActivities, activity, "activity");
}

std::string ProbeStateName(ProbeState state) { return Lookup(kProbeStates, state, "state"); }

std::string RuntimeName(const Runtime& runtime, bool utf8) {
  std::vector<std::string> parts;
  std::string libc = Lookup(kLibcs, runtime.libc(), "libc");
  if (!libc.empty() && !runtime.libc_version().empty()) {
    absl::StrAppend(&libc, " ", SanitizeText(runtime.libc_version(), utf8));
  }
  for (const std::string& part : {libc, Lookup(kLinkages, runtime.linkage(), "linkage"),
                                  Lookup(kLanguages, runtime.language(), "language")}) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts.empty() ? "runtime not recognised" : absl::StrJoin(parts, ", ");
}

std::string SignalName(int number) {
  const char* name = sigabbrev_np(number);
  return name == nullptr ? absl::StrCat("signal ", number) : absl::StrCat("SIG", name);
}

std::string OutcomeWord(const Startup& startup) {
  const uint32_t status = startup.exit_status();
  switch (startup.outcome()) {
    case OUTCOME_REACHED: {
      const MilestoneKind end = EndMilestone(startup);
      if (end == MILESTONE_KIND_UNSPECIFIED) return "reached";
      if (end != MILESTONE_KIND_EXIT || !startup.has_exit_status()) return MilestoneName(end);
      if ((status & 0x7f) != 0) return SignalName(status & 0x7f);
      return absl::StrCat("exit ", status >> 8 & 0xff);
    }
    case OUTCOME_EXITED:
      return startup.has_exit_status() ? absl::StrCat("exited ", status >> 8 & 0xff) : "exited";
    case OUTCOME_KILLED:
      return startup.has_exit_status() ? SignalName(status & 0x7f) : "killed";
    case OUTCOME_REPLACED:
      return "replaced";
    case OUTCOME_EXEC_FAILED:
      return "exec failed";
    case OUTCOME_DEADLINE:
      return "deadline";
    case OUTCOME_INCOMPLETE:
      return "incomplete";
    default:
      return absl::StrCat("outcome ", static_cast<int>(startup.outcome()));
  }
}

std::string OutcomePhrase(const Startup& startup, const Glyphs& glyphs) {
  const std::string total = FormatDuration(startup.total_ns(), glyphs);
  switch (startup.outcome()) {
    case OUTCOME_REACHED: {
      const MilestoneKind end = EndMilestone(startup);
      if (end == MILESTONE_KIND_EXIT) return absl::StrCat(ExitPhrase(startup), " after ", total);
      if (end == MILESTONE_KIND_UNSPECIFIED) return absl::StrCat("ready in ", total);
      return absl::StrCat("reached ", MilestoneName(end), " in ", total);
    }
    case OUTCOME_EXITED:
    case OUTCOME_KILLED: {
      const std::string how = startup.outcome() == OUTCOME_KILLED && !startup.has_exit_status()
                                  ? "killed"
                                  : ExitPhrase(startup);
      // A main that was only found afterwards is among the milestones.
      const bool reached_main =
          std::any_of(startup.milestones().begin(), startup.milestones().end(),
                      [](const auto& it) { return it.kind() == MILESTONE_KIND_MAIN; });
      return absl::StrCat(how, " after ", total, reached_main ? "" : ", before it was ready");
    }
    case OUTCOME_REPLACED:
      return absl::StrCat("executed another program after ", total);
    case OUTCOME_EXEC_FAILED:
      return absl::StrCat("exec failed after its point of no return, at ", total);
    case OUTCOME_DEADLINE:
      return absl::StrCat("still starting when the deadline passed, at ", total);
    case OUTCOME_INCOMPLETE:
      return absl::StrCat("its end was not seen; followed for ", total);
    default:
      return absl::StrCat("outcome ", static_cast<int>(startup.outcome()), " after ", total);
  }
}

DegradationText DescribeDegradation(DegradationKind kind) {
  for (const Described& entry : kDegradations) {
    if (entry.kind == kind) return {entry.what, entry.advice};
  }
  return {absl::StrCat("degradation ", static_cast<int>(kind)),
          "this client is older than its daemon"};
}

std::string FaultPair(bool has_minor, uint64_t minor, bool has_major, uint64_t major,
                      const Glyphs& glyphs) {
  if (!has_minor && !has_major) return glyphs.unmeasured;
  return absl::StrCat(has_minor ? absl::StrCat(minor) : glyphs.unmeasured, "+",
                      has_major ? absl::StrCat(major) : glyphs.unmeasured);
}

std::string ShortName(const Process& process, bool utf8) {
  const std::string& path = process.executable();
  const size_t slash = path.rfind('/');
  std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (name.empty()) name = process.comm();
  return name.empty() ? "?" : SanitizeText(name, utf8);
}

}  // namespace startscope
