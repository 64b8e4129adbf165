// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// One program start as the model knows it: the output type of the model stage. Passive data that
// mirrors proto/startscope/v1/startup.proto field by field; serve/ translates it. std::nullopt means
// "not measured". Offsets count from the startup's begin; all in nanoseconds. Strings are raw bytes.

#ifndef STARTSCOPE_DAEMON_MODEL_STARTUP_H_
#define STARTSCOPE_DAEMON_MODEL_STARTUP_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/elf/image_facts.h"

namespace startscope {

// The enumerators equal those of the proto enums of the same names (a test compares them).
enum class Phase : uint8_t {
  kUnspecified, kSpawn, kKernelExec, kLoaderBootstrap, kDependencyMapping, kRelocation, kConstructors,
  kRuntimeInit, kMain
};
enum class BoundarySource : uint8_t {
  kUnspecified, kTracepoint, kSdt, kSymbolUprobe, kCallSiteUprobe, kFirstFault, kMapping, kInferred,
  kEntryUprobe, kDebugFileUprobe
};
enum class MilestoneKind : uint8_t {
  kUnspecified, kMain, kListen, kNotify, kOutput, kResponse, kSymbol, kExit
};
enum class Outcome : uint8_t {
  kUnspecified, kReached, kExited, kKilled, kReplaced, kExecFailed, kDeadline, kIncomplete
};
enum class DegradationKind : uint8_t {
  kUnspecified, kRecordsLost, kProbeUnavailable, kStripped, kFirstSeen, kLateBegin, kMainNotObserved,
  kLimitReached, kUnreadableImage, kInconsistent, kBoundaryNotObserved, kPerturbed
};
enum class ObjectKind : uint8_t {
  kUnspecified, kExecutable, kLoader, kLibrary, kFile, kAnonymous, kStack, kHeap, kVdso
};
enum class Level : uint8_t { kUnspecified, kPhases, kObjects, kPages, kFunctions };
enum class Precision : uint8_t { kUnspecified, kExact, kUnperturbed };

struct ProcessInfo {
  uint32_t pid = 0;
  uint32_t parent_pid = 0;
  uint64_t start_boottime_ns = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t euid = 0;
  uint32_t pid_in_namespace = 0;
  uint64_t exec_id = 0;
  uint64_t cgroup_id = 0;
  bool secure = false;
  std::string comm;
  std::string executable;
  std::string filename;
  std::string interpreter;
  std::vector<std::string> argv;
};

struct RuntimeInfo {
  Libc libc = Libc::kUnspecified;
  Linkage linkage = Linkage::kUnspecified;
  Language language = Language::kUnspecified;
  std::string evidence;
  std::string libc_version;
};

struct SubMark {
  std::string name;
  uint64_t offset_ns = 0;
  BoundarySource source = BoundarySource::kUnspecified;
};

struct PhaseSlice {
  Phase phase = Phase::kUnspecified;
  uint64_t offset_ns = 0;
  uint64_t duration_ns = 0;
  std::optional<uint64_t> on_cpu_ns;
  std::optional<uint64_t> runqueue_ns;
  std::optional<uint64_t> blocked_ns;
  std::optional<uint64_t> fault_ns;
  std::optional<uint64_t> compute_ns;
  std::optional<uint64_t> minor_faults;
  std::optional<uint64_t> major_faults;
  std::optional<uint64_t> mmap_calls;
  std::optional<uint64_t> mapped_bytes;
  BoundarySource begin_source = BoundarySource::kUnspecified;
  BoundarySource end_source = BoundarySource::kUnspecified;
  std::vector<SubMark> sub_marks;
};

struct Milestone {
  MilestoneKind kind = MilestoneKind::kUnspecified;
  uint64_t offset_ns = 0;
  BoundarySource source = BoundarySource::kUnspecified;
};

struct FaultTotals {
  std::optional<uint64_t> minor;
  std::optional<uint64_t> major;
  std::optional<uint64_t> fault_ns;
  std::optional<uint64_t> kernel_minor;
  std::optional<uint64_t> kernel_major;
};

struct Unattributed {
  uint64_t minor = 0;
  uint64_t major = 0;
  std::optional<uint64_t> fault_ns;
};

struct Segment {
  uint64_t address = 0;
  uint64_t size_bytes = 0;
  uint64_t file_offset = 0;
  uint32_t prot = 0;
  uint64_t minor_faults = 0;
  uint64_t major_faults = 0;
  uint64_t read_faults = 0;
  uint64_t write_faults = 0;
  uint64_t fetch_faults = 0;
  std::optional<uint64_t> fault_ns;
  std::optional<uint64_t> pages_touched;
};

struct MappedObject {
  ObjectKind kind = ObjectKind::kUnspecified;
  std::string path;
  FileId file;
  std::string build_id;
  std::string soname;
  std::vector<std::string> needed_by;
  uint64_t load_address = 0;
  std::optional<uint64_t> map_offset_ns;
  std::optional<uint64_t> mapped_bytes;
  std::optional<uint64_t> pages_mapped;
  std::optional<uint64_t> pages_touched;
  uint64_t minor_faults = 0;
  uint64_t major_faults = 0;
  std::optional<uint64_t> fault_ns;
  std::optional<uint64_t> relocation_ns;
  std::optional<uint64_t> relocations;
  std::optional<uint64_t> constructor_ns;
  std::vector<Segment> segments;
};

struct Degradation {
  DegradationKind kind = DegradationKind::kUnspecified;
  std::string detail;
  uint64_t count = 0;
};

struct ObserverCost {
  uint64_t probe_hits = 0;
  uint64_t records = 0;
  std::optional<uint64_t> estimated_cost_ns;
  std::optional<uint64_t> added_minor_faults;
};

struct Startup {
  std::string startup_id;
  ProcessInfo process;
  RuntimeInfo runtime;
  uint64_t begin_boottime_ns = 0;
  uint64_t total_ns = 0;
  Outcome outcome = Outcome::kUnspecified;
  std::vector<PhaseSlice> phases;
  std::vector<Milestone> milestones;
  FaultTotals faults;
  std::vector<MappedObject> objects;
  std::optional<Unattributed> unattributed;
  std::vector<Degradation> degradations;
  ObserverCost observer;
  Level level = Level::kUnspecified;
  Precision precision = Precision::kUnspecified;
  std::optional<uint32_t> exit_status;
  std::optional<uint32_t> threads_created;
  std::optional<uint64_t> spawn_ns;
};

// Which watches a startup is for: bit per rule slot that matched in the kernel.
using WatchMask = uint64_t;

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_STARTUP_H_
