// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// One program start as the model knows it: the output type of the model stage. Passive data that
// mirrors proto/startscope/v1/startup.proto field by field; serve/ translates it. std::nullopt means
// "not measured". Offsets count from the startup's begin; all in nanoseconds. Strings are raw bytes.

#ifndef STARTSCOPE_DAEMON_MODEL_STARTUP_H_
#define STARTSCOPE_DAEMON_MODEL_STARTUP_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
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
  kEntryUprobe, kDebugFileUprobe, kDynsymUprobe, kMiniDebugUprobe, kGoTableUprobe
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
  // Where arguments are collected: how many are missing from argv, behind those that are there.
  std::optional<uint32_t> arguments_omitted;
  bool arguments_unreadable = false;
};

struct RuntimeInfo {
  Libc libc = Libc::kUnspecified;
  Linkage linkage = Linkage::kUnspecified;
  Language language = Language::kUnspecified;
  std::string evidence;
  std::string libc_version;
};

// The enumerators of these, too, equal those of the proto enums.
enum class TimeReason : uint8_t {
  kUnspecified, kRunning, kMinorFault, kMajorFault, kKernelExec, kSyscall, kRunQueue, kThrottled,
  kBlockedIo, kBlockedOther, kCpuidTrap, kUnexplained
};
enum class StartTemperature : uint8_t { kUnspecified, kWarm, kPartlyCold, kCold, kNotWarm };
enum class MappingOperation : uint8_t {
  kUnspecified, kMmap, kMprotect, kMunmap, kBrk, kMremap, kExec
};

struct TimeShare {
  TimeReason reason = TimeReason::kUnspecified;
  uint64_t duration_ns = 0;
  std::string object;  // kBlockedIo: the file, where known
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
  std::vector<TimeShare> blame;
  std::optional<uint64_t> storage_bytes;
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
  std::optional<uint64_t> pages_dirtied;
  uint64_t major_read_faults = 0;
  uint64_t major_write_faults = 0;
  uint64_t major_fetch_faults = 0;
  std::optional<uint64_t> map_offset_ns;
};

// What made the loader map an object.
enum class LoadReason : uint8_t {
  kUnspecified, kExecutable, kInterpreter, kNeeded, kPreload, kDlopen, kKernel
};

// A function that ran before main.
struct InitCall {
  InitKind kind = InitKind::kUnspecified;
  std::string symbol;
  std::string unit;
  uint64_t address = 0;  // link-time virtual
  uint64_t offset_ns = 0;
  std::optional<uint64_t> duration_ns;  // to the begin of what ran next
  std::optional<uint64_t> blocked_ns;
  std::optional<uint64_t> minor_faults;
  std::optional<uint64_t> major_faults;
  BoundarySource source = BoundarySource::kUnspecified;
};

// Where the loader looked for an object and did not find it.
struct SearchMiss {
  std::string directory;
  uint64_t count = 0;
  uint64_t duration_ns = 0;
};

// One page that faulted.
struct PageHeat {
  uint64_t file_offset = 0;
  uint64_t address = 0;
  uint32_t minor_faults = 0;
  uint32_t major_faults = 0;
  bool written = false;
  bool fetched = false;
  uint64_t first_touch_offset_ns = 0;
  uint64_t touch_order = 0;
  std::optional<uint64_t> fault_ns;
};

struct MappedObject {
  ObjectKind kind = ObjectKind::kUnspecified;
  std::string path;
  FileId file;
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
  std::optional<uint64_t> pages_dirtied;
  std::optional<uint64_t> pages_read;
  std::optional<uint64_t> io_wait_ns;
  std::optional<uint64_t> pages_resident;
  std::optional<uint64_t> first_touch_offset_ns;
  bool deleted = false;
  bool huge_pages = false;
  std::vector<PageHeat> pages;
  uint64_t pages_omitted = 0;
  // 1 is the executable; 0: not one that the loader loads.
  uint32_t load_order = 0;
  // Steps from the executable along the shortest chain of needs; 0: the executable, or none is known.
  uint32_t depth = 0;
  LoadReason reason = LoadReason::kUnspecified;
  std::optional<uint64_t> mapping_ns;
  BoundarySource mapping_source = BoundarySource::kUnspecified;
  BoundarySource relocation_source = BoundarySource::kUnspecified;
  BoundarySource constructor_source = BoundarySource::kUnspecified;
  // Build id, soname, DT_NEEDED, how it was linked. Null: the file was not read.
  std::shared_ptr<const ImageFacts> facts;
  std::vector<InitCall> init_calls;
  uint64_t init_calls_omitted = 0;
  std::optional<uint64_t> search_ns;
  std::vector<SearchMiss> search_misses;
};

inline constexpr uint32_t kNoIndex = UINT32_MAX;

// Entries of a timeline name objects and symbols by index into Timeline::objects and ::symbols.
struct FaultEntry {
  uint64_t address = 0;
  uint64_t ip = 0;
  std::optional<uint64_t> latency_ns;
  std::optional<uint64_t> runqueue_ns;
  std::optional<uint64_t> blocked_ns;
  bool major = false;
  bool kernel_mode = false;
  bool access_known = false;
  bool write = false;
  bool instruction_fetch = false;
  uint32_t object = kNoIndex;
  uint32_t ip_object = kNoIndex;
  uint32_t symbol = kNoIndex;
  uint32_t around_pages = 0;
  uint64_t file_offset = 0;
  uint64_t ip_offset = 0;
  uint64_t around_offset = 0;
};

struct MappingEntry {
  MappingOperation operation = MappingOperation::kUnspecified;
  uint32_t prot = 0;
  uint32_t object = kNoIndex;
  uint32_t error = 0;
  uint64_t address = 0;
  uint64_t size_bytes = 0;
  uint64_t file_offset = 0;
  uint64_t old_address = 0;
  std::optional<uint64_t> duration_ns;
};

struct WaitEntry {
  uint8_t reason = 0;  // WaitReason of decode
  uint32_t object = kNoIndex;
  uint64_t duration_ns = 0;
  std::optional<uint64_t> runqueue_ns;
};

struct TimelineEntry {
  uint64_t offset_ns = 0;
  uint32_t tid = 0;
  Phase phase = Phase::kUnspecified;
  std::variant<FaultEntry, MappingEntry, SubMark, WaitEntry> entry;
};

struct Timeline {
  struct Object {
    std::string path;
    FileId file;
  };
  std::vector<TimelineEntry> entries;
  std::vector<Object> objects;
  std::vector<std::string> symbols;
  uint64_t omitted = 0;
};

struct FileReads {
  std::string path;
  FileId file;
  uint64_t pages = 0;
  std::optional<uint64_t> wait_ns;
};

struct StorageReads {
  std::optional<uint64_t> bytes;
  std::optional<uint64_t> pages;
  std::vector<FileReads> files;
  uint64_t files_omitted = 0;
  std::optional<uint64_t> wait_ns;
};

struct SyscallTotal {
  uint32_t number = 0;
  uint64_t calls = 0;
  uint64_t errors = 0;
  uint64_t duration_ns = 0;
  uint64_t off_cpu_ns = 0;
};

struct FailedSearch {
  std::string name;
  std::string directory;
  uint64_t count = 0;
  uint64_t duration_ns = 0;
};

struct SyscallUse {
  std::vector<SyscallTotal> totals;
  std::vector<FailedSearch> searches;
  uint64_t calls_omitted = 0;
  uint64_t searches_omitted = 0;
};

enum class LoaderEventKind : uint8_t { kUnspecified, kOpen, kClose };

// What the loader did after a startup.
struct LoaderActivity {
  std::string startup_id;
  ProcessInfo process;
  LoaderEventKind kind = LoaderEventKind::kUnspecified;
  uint64_t offset_ns = 0;
  std::optional<uint64_t> duration_ns;
  std::vector<MappedObject> objects;
  std::string requested;
  std::string caller_object;
  uint64_t caller_offset = 0;
  uint32_t tid = 0;
  std::optional<uint64_t> minor_faults;
  std::optional<uint64_t> major_faults;
  std::optional<uint64_t> fault_ns;
  BoundarySource source = BoundarySource::kUnspecified;
};

enum class StuckActivity : uint8_t {
  kUnspecified, kRunning, kRunnable, kBlockedIo, kBlockedOther, kStopped
};

// A startup that has been going on for long, as it is now.
struct StuckStartup {
  std::string startup_id;
  ProcessInfo process;
  RuntimeInfo runtime;
  Phase phase = Phase::kUnspecified;
  BoundarySource phase_source = BoundarySource::kUnspecified;  // of the phase's begin
  uint64_t elapsed_ns = 0;
  uint64_t phase_elapsed_ns = 0;
  // The object whose mapping, relocation or constructor was begun last; empty: not known.
  std::string object;
  std::string function;  // the constructor, where functions are watched
  StuckActivity activity = StuckActivity::kUnspecified;
  std::string wait_channel;  // kernel function it sleeps in, where the kernel tells
  std::string system_call;
  // The file that is read or waited for, where that is known.
  std::string file;
  bool compat = false;  // a 32-bit program: its system calls have other numbers
};

// Filling in thread-local storage.
struct TlsSetup {
  uint64_t bytes = 0;    // PT_TLS of all objects
  uint32_t objects = 0;  // that have one
  std::optional<uint64_t> offset_ns;
  std::optional<uint64_t> duration_ns;
  BoundarySource source = BoundarySource::kUnspecified;
};

// A thread made before the end.
struct ThreadStart {
  uint32_t tid = 0;
  uint64_t offset_ns = 0;
  Phase phase = Phase::kUnspecified;
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
  std::vector<TimeShare> blame;
  StartTemperature temperature = StartTemperature::kUnspecified;
  std::string temperature_evidence;
  std::optional<StorageReads> storage;
  std::optional<SyscallUse> syscalls;
  std::optional<Timeline> timeline;
  std::optional<TlsSetup> tls;
  std::vector<ThreadStart> threads;  // the first ones, bounded
};

// Which watches a startup is for: bit per rule slot that matched in the kernel.
using WatchMask = uint64_t;

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_STARTUP_H_
