// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/startup_builder.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/model/attribution.h"
#include "daemon/model/boundary_finder.h"
#include "daemon/model/constructor_ledger.h"
#include "daemon/model/counter_ledger.h"
#include "daemon/model/dependency_chain.h"
#include "daemon/model/link_map.h"
#include "daemon/model/loader_ledger.h"
#include "daemon/model/mark_names.h"
#include "daemon/model/observer_cost.h"
#include "daemon/model/phase_cutter.h"
#include "daemon/model/phase_policy.h"
#include "daemon/model/runtime_stages.h"
#include "daemon/model/storage_ledger.h"
#include "daemon/model/syscall_ledger.h"
#include "daemon/model/time_ledger.h"

namespace startscope {
namespace {

RuntimeInfo RuntimeOf(const Evidence& evidence, const StartupImages& images) {
  RuntimeInfo runtime;
  if (images.executable != nullptr && images.executable->facts->error.empty()) {
    const ImageFacts& facts = *images.executable->facts;
    runtime.libc = facts.libc;
    runtime.linkage = facts.linkage;
    runtime.language = facts.language;
    runtime.evidence = facts.evidence;
    runtime.libc_version = facts.libc_version;
    if (runtime.libc_version.empty() && images.loader != nullptr) {
      runtime.libc_version = images.loader->facts->libc_version;
    }
    if (evidence.loader_invoked) absl::StrAppend(&runtime.evidence, "; its loader was executed");
    if (runtime.linkage != Linkage::kUnspecified) return runtime;
  }
  // The file could not be read (yet): the kernel's own words must do.
  runtime.linkage = evidence.exec.at_base != 0 ? Linkage::kDynamic : Linkage::kStatic;
  const bool is_loader = runtime.linkage == Linkage::kStatic && images.executable != nullptr &&
                         images.executable->facts->kind == ImageKind::kLoader;
  const KnownImage* loader = is_loader ? images.executable : images.loader;
  runtime.libc = loader != nullptr ? loader->facts->libc : Libc::kUnknown;
  runtime.language = Language::kUnknown;
  if (is_loader) {
    runtime.evidence = "a loader was executed and mapped no program";
    return runtime;
  }
  runtime.evidence = absl::StrCat(
      "auxiliary vector: ", evidence.exec.at_base != 0 ? "has" : "has no", " loader address");
  return runtime;
}

const char* PhaseName(Phase phase) {
  constexpr std::array<const char*, 9> kNames = {
      "",           "spawn",        "kernel exec", "loader bootstrap", "dependency mapping",
      "relocation", "constructors", "runtime init", "main"};
  return kNames[static_cast<size_t>(phase)];
}

void Degrade(Startup* startup, DegradationKind kind, std::string detail, uint64_t count = 0) {
  startup->degradations.push_back({kind, std::move(detail), count});
}

std::string DescribeLoss(LossStage stage, uint64_t count) {
  const auto of_machine = [count](const char* more) {
    return absl::StrCat(count, " records of this machine were lost while this start ran", more);
  };
  switch (stage) {
    case LossStage::kKernelRing:
      return of_machine("; raise --ring-bytes");
    case LossStage::kMappingRing:
      return of_machine("; raise --mapping-ring-pages");
    case LossStage::kDecode:
      return of_machine(": they could not be decoded");
    case LossStage::kKernelState:
      return absl::StrCat("the kernel had no memory to follow ", count,
                          " processes or threads while this start ran");
    case LossStage::kEarly:
      return "some of what the kernel mapped for this start had to give way before it was known that "
             "it begins; raise --max-waiting-processes";
    default:
      return of_machine("");
  }
}

// Something that a list of this start's records should have is missing from it.
bool LacksRecords(const Evidence& evidence) {
  return evidence.lost.contains(LossStage::kKernelRing) ||
         evidence.lost.contains(LossStage::kDecode);
}

void AddDegradations(const Evidence& evidence, const StartupImages& images, const Cut& cut,
                     const LedgerResult& ledger, const BuildOptions& options,
                     const BoundaryFinder& finder, Startup* startup) {
  for (const auto& [stage, count] : evidence.lost) {
    Degrade(startup, DegradationKind::kRecordsLost, DescribeLoss(stage, count), count);
  }
  if (evidence.exec.begin_source == ExecBeginSource::kProcessExec) {
    Degrade(startup, DegradationKind::kLateBegin,
            "this kernel does not show the point of no return; what exec did before "
            "sched_process_exec is missing from kernel exec");
  }
  const std::pair<const KnownImage*, const std::string*> files[] = {
      {images.executable, &startup->process.executable}, {images.loader, &finder.loader_path()}};
  for (const auto& [image, path] : files) {
    if (image == images.loader && finder.loader_file().inode == 0) continue;
    if (image != nullptr && !image->facts->error.empty()) {
      Degrade(startup, DegradationKind::kUnreadableImage,
              absl::StrCat(image->facts->error, "; its phases come from faults and mappings"));
      continue;
    }
    if (options.precision != Precision::kExact) continue;
    if (image == nullptr) {
      Degrade(startup, DegradationKind::kFirstSeen,
              absl::StrCat(*path, " was not yet known; the next start of it is exact"));
    } else if (!image->attach_error.empty()) {
      Degrade(startup, DegradationKind::kProbeUnavailable, image->attach_error);
    } else if (!image->facts->sites.empty() &&
               (image->attached_boottime_ns == 0 ||
                image->attached_boottime_ns > evidence.exec.begin_boottime_ns)) {
      Degrade(startup, DegradationKind::kFirstSeen,
              absl::StrCat(*path, " had no marks when this start began; the next one is exact"));
    }
  }
  for (const Phase phase : cut.not_observed) {
    Degrade(startup, DegradationKind::kBoundaryNotObserved,
            absl::StrCat("the begin of ", PhaseName(phase),
                         " was not observed; the phase before it includes it"));
  }
  if (ledger.counts_contradict) {
    Degrade(startup, DegradationKind::kInconsistent,
            "more faults were recorded than the kernel counted; counts of this start are not exact");
  }
  if (ledger.threads_not_read) {
    Degrade(startup, DegradationKind::kLimitReached,
            "more than 64 threads: the kernel's fault counts of some were not read");
  }
  if (options.precision == Precision::kUnperturbed && !evidence.marks.empty()) {
    Degrade(startup, DegradationKind::kPerturbed,
            "another watch asked for exact precision: its breakpoints were in this process and its "
            "fault counts include them",
            evidence.marks.size());
  }
  const Evidence::NotKept& beyond = evidence.not_kept;
  if (beyond.total() != 0) {
    Degrade(startup, DegradationKind::kLimitReached,
            absl::StrCat("records beyond the bounds of one start or of all (", beyond.faults,
                         " faults, ", beyond.mappings, " mappings, ", beyond.marks, " marks, ",
                         beyond.waits, " waits, ", beyond.calls, " calls): counted where the kernel counts them, not listed"),
            beyond.total());
  }
}

AttributionOptions AttributionFor(const BuildOptions& options) {
  AttributionOptions to;
  to.max_objects = options.max_objects;
  if (options.level < Level::kPages) return to;
  to.max_pages = options.max_pages;
  to.max_timeline = options.max_timeline;
  to.windows_known = options.windows_known;
  to.calls_known = true;
  return to;
}

void TakeAttribution(const BuildOptions& options, const LedgerResult& ledger,
                     Attribution attribution, Startup* startup) {
  for (size_t i = 0; i < startup->phases.size(); ++i) {
    startup->phases[i].mmap_calls = attribution.mmap_calls[i];
    startup->phases[i].mapped_bytes = attribution.mapped_bytes[i];
  }
  if (options.level < Level::kObjects) return;
  startup->objects = std::move(attribution.objects);
  startup->unattributed = attribution.unattributed;
  startup->unattributed->minor += ledger.unrecorded_minor + ledger.uncompleted_minor;
  startup->unattributed->major += ledger.unrecorded_major + ledger.uncompleted_major;
  startup->timeline = std::move(attribution.timeline);
  if (attribution.objects_not_kept != 0) {
    Degrade(startup, DegradationKind::kLimitReached,
            "mappings of further objects; their faults are listed as unattributed",
            attribution.objects_not_kept);
  }
}

void AddThreads(const Evidence& evidence, const End& end, Startup* startup) {
  for (const auto& thread : evidence.threads) {
    if (thread.boottime_ns > end.boottime_ns) break;
    const PhaseSlice* slice = SliceAt(*startup, thread.boottime_ns);
    startup->threads.push_back({thread.value,
                                thread.boottime_ns - evidence.exec.begin_boottime_ns,
                                slice == nullptr ? Phase::kUnspecified : slice->phase});
  }
}

// Libraries whose constructors could not be watched, which a later start may mend.
void DegradeUnmarked(const Evidence& evidence, const std::vector<LoadedObject>& loaded,
                     Startup* startup) {
  const LoadedObject* first = nullptr;
  uint64_t count = 0;
  for (const LoadedObject* one : UnmarkedLibraries(evidence, loaded)) {
    if (!one->image->attach_error.empty()) {
      Degrade(startup, DegradationKind::kProbeUnavailable, one->image->attach_error);
      continue;
    }
    if (first == nullptr) first = one;
    ++count;
  }
  if (first == nullptr) return;
  const std::string others =
      count == 1 ? "" : absl::StrCat(" and ", count - 1, count == 2 ? " other" : " others");
  Degrade(startup, DegradationKind::kFirstSeen,
          absl::StrCat("the constructors of ", std::string(first->path), others,
                       " had no marks when this start began; the next one has"),
          count);
}

// What the loader did with each object.
void AccountObjects(const Evidence& evidence, const StartupImages& images, const End& end,
                    const BoundaryFinder& finder, const BuildOptions& options, Startup* startup) {
  const PhaseSlice* mapping = SliceOf(*startup, Phase::kDependencyMapping);
  std::optional<uint64_t> dependencies_ns;
  if (mapping != nullptr) dependencies_ns = mapping->offset_ns + mapping->duration_ns;
  ChainDependencies(images, dependencies_ns, &startup->objects);
  const std::vector<LoadedObject> loaded =
      ReadLinkMap(evidence, images, finder, end.boottime_ns);
  const bool exact = options.precision == Precision::kExact;
  const bool lost = LacksRecords(evidence);
  const bool searches = options.syscalls && !lost && evidence.not_kept.calls == 0;
  AccountLoading(evidence, end, finder, loaded, {.marks = exact, .searches = searches}, startup);
  const bool functions = options.level >= Level::kFunctions;
  AccountConstructors(evidence, end, loaded, {.marks = exact, .functions = functions}, startup);
  if (exact && functions) DegradeUnmarked(evidence, loaded, startup);
}

// Objects' names, for as long as the attribution keeps its objects.
FileNames NamesOf(const Attribution& attribution) {
  FileNames names;
  names.of_fault = [&attribution](size_t fault) -> std::string_view {
    const uint32_t index = attribution.fault_objects[fault];
    if (index == kNoIndex) return {};
    return attribution.objects[attribution.places[index]].path;
  };
  names.of_file = [&attribution](const FileId& file) -> std::string_view {
    const std::optional<size_t> object = FindReadFile(attribution.objects, file);
    return object ? std::string_view(attribution.objects[*object].path) : std::string_view();
  };
  return names;
}

// The files that the timeline's waits for storage were for.
void NameWaits(const Evidence& evidence, const FileNames& names, Attribution* attribution) {
  if (!attribution->timeline) return;
  const ReadFinder finder(evidence, names);
  for (TimelineEntry& entry : attribution->timeline->entries) {
    auto* wait = std::get_if<WaitEntry>(&entry.entry);
    if (wait == nullptr || wait->reason != static_cast<uint8_t>(WaitReason::kIo)) continue;
    if (entry.tid != evidence.pid) continue;
    const uint64_t end_ns = evidence.exec.begin_boottime_ns + entry.offset_ns;
    const std::string_view path = finder.FileOf(end_ns - wait->duration_ns, end_ns);
    if (path.empty()) continue;
    const std::vector<Timeline::Object>& objects = attribution->timeline->objects;
    for (uint32_t i = 0; i < objects.size(); ++i) {
      if (objects[i].path == path) wait->object = i;
    }
  }
}

TimeSources SourcesFor(const Evidence& evidence, const BuildOptions& options) {
  TimeSources sources;
  const bool lost = LacksRecords(evidence);
  sources.marks = options.precision == Precision::kExact;
  sources.faults_timed = options.level >= Level::kObjects;
  sources.waits = options.waits && !lost && evidence.not_kept.waits == 0;
  sources.calls = options.syscalls && !lost && evidence.not_kept.calls == 0;
  sources.samples = options.samples;
  return sources;
}

// Room to spare is much in thousands of startups that wait for clients.
void GiveBackRoom(Startup* startup) {
  for (MappedObject& object : startup->objects) {
    object.needed_by.shrink_to_fit();
    object.pages.shrink_to_fit();
    object.init_calls.shrink_to_fit();
    object.search_misses.shrink_to_fit();
  }
  for (PhaseSlice& slice : startup->phases) slice.sub_marks.shrink_to_fit();
  startup->milestones.shrink_to_fit();
  startup->degradations.shrink_to_fit();
  startup->threads.shrink_to_fit();
  if (startup->storage) startup->storage->files.shrink_to_fit();
  if (!startup->timeline) return;
  startup->timeline->entries.shrink_to_fit();
  startup->timeline->objects.shrink_to_fit();
}

}  // namespace

std::string StartupIdOf(const Evidence& evidence) {
  return absl::StrCat(evidence.pid, "-", evidence.start_boottime_ns, "-", evidence.exec.exec_id);
}

Startup DescribeStartup(const Evidence& evidence, const StartupImages& images,
                        const BuildOptions& options) {
  Startup startup;
  const ExecEvent& exec = evidence.exec;
  startup.startup_id = StartupIdOf(evidence);
  startup.begin_boottime_ns = exec.begin_boottime_ns;
  startup.level = options.level;
  startup.precision = options.precision;
  ProcessInfo& process = startup.process;
  process.pid = evidence.pid;
  process.parent_pid = exec.parent_pid;
  process.start_boottime_ns = evidence.start_boottime_ns;
  process.uid = exec.uid;
  process.gid = exec.gid;
  process.euid = exec.euid;
  process.pid_in_namespace = exec.pid_in_namespace;
  process.exec_id = exec.exec_id;
  process.cgroup_id = exec.cgroup_id;
  process.secure = exec.secure;
  process.comm = exec.comm;
  process.filename = exec.filename;
  process.interpreter = exec.interpreter;
  if (exec.arguments) {
    process.argv = exec.arguments->values;
    process.arguments_omitted = exec.arguments->omitted;
    process.arguments_unreadable = exec.arguments->unreadable;
  } else if (!exec.argv0.empty()) {
    process.argv.push_back(exec.argv0);
  }
  process.executable = exec.filename;
  const uint64_t headers = exec.at_phdr != 0 ? exec.at_phdr : exec.at_entry;
  for (const auto& mapping : evidence.mappings) {
    const MappingEvent& value = mapping.value;
    const bool holds_headers = value.file.inode != 0 && headers >= value.address &&
                               headers - value.address < value.size_bytes;
    if (value.file != exec.executable && !holds_headers) continue;
    process.executable = value.path;  // as the kernel resolved it for this process
    break;
  }
  startup.runtime = RuntimeOf(evidence, images);
  if (evidence.first_exec && exec.begin_boottime_ns >= evidence.start_boottime_ns) {
    startup.spawn_ns = exec.begin_boottime_ns - evidence.start_boottime_ns;
  }
  return startup;
}

Startup BuildStartup(const Evidence& evidence, const StartupImages& images, const End& end,
                     const BuildOptions& options) {
  BuildRoom room;
  return BuildStartup(evidence, images, end, options, &room);
}

Startup BuildStartup(const Evidence& evidence, const StartupImages& images, const End& given_end,
                     const BuildOptions& options, BuildRoom* room) {
  Startup startup = DescribeStartup(evidence, images, options);
  const uint64_t begin = evidence.exec.begin_boottime_ns;
  End end = given_end;
  end.boottime_ns = std::max({end.boottime_ns, begin, evidence.exec_boottime_ns});
  const bool exact = options.precision == Precision::kExact;
  const bool known = images.executable != nullptr && images.executable->facts->error.empty();
  const bool entry_is_main = known && EntryIsMain(*images.executable->facts);

  const BoundaryFinder finder(evidence, images, !exact);
  std::optional<Boundary> main = finder.Find(Moment::kMain);
  bool main_inferred = false;
  if (!main && entry_is_main) {
    main = finder.FindMark(MarkKind::kEntry, evidence.exec_boottime_ns);
    if (!main) main = finder.Find(Moment::kEntry);
  }
  // A mark that was there and was not reached says that main was not.
  if (!main && !(exact && MainWasMarked(images.executable, begin))) {
    main = finder.InferMain();
    main_inferred = main.has_value();
  }
  Cut cut =
      CutPhases(PhasePolicyFor(startup.runtime, entry_is_main), finder, main, evidence, end);
  startup.phases = std::move(cut.slices);
  startup.total_ns = end.boottime_ns - begin;
  startup.outcome = end.outcome;
  startup.exit_status = end.exit_status;
  startup.threads_created = evidence.threads_created;

  if (cut.main) {
    startup.milestones.push_back(
        {MilestoneKind::kMain, cut.main->boottime_ns - begin, cut.main->source});
  }
  if (end.milestone == MilestoneKind::kExit) {
    startup.milestones.push_back({MilestoneKind::kExit, startup.total_ns, end.source});
  }
  const LedgerResult ledger = BookFaults(evidence, end, startup.phases, !exact);
  const TimeSources sources = SourcesFor(evidence, options);
  AddRuntimeStages(evidence, images, end, finder, {exact, options.syscalls}, &startup);
  Attribution attribution =
      Attribute(evidence, end, finder, startup.phases, AttributionFor(options), &room->map);
  const FileNames names = NamesOf(attribution);
  AccountTime(evidence, end, sources, names, &room->time, &startup.phases);
  NameWaits(evidence, names, &attribution);
  FaultTotals& totals = startup.faults;
  totals.minor = 0;
  totals.major = 0;
  const bool faults_timed = options.level >= Level::kObjects;
  for (size_t i = 0; i < startup.phases.size(); ++i) {
    PhaseSlice& slice = startup.phases[i];
    const FaultSums& sums = ledger.phases[i];
    slice.minor_faults = sums.minor;
    slice.major_faults = sums.major;
    *totals.minor += sums.minor;
    *totals.major += sums.major;
    if (!faults_timed) continue;
    slice.fault_ns = sums.total_ns;
    totals.fault_ns = totals.fault_ns.value_or(0) + sums.total_ns;
    if (slice.on_cpu_ns) {
      slice.compute_ns = *slice.on_cpu_ns - std::min(*slice.on_cpu_ns, sums.minor_ns);
    }
  }
  totals.kernel_minor = ledger.kernel_minor;
  totals.kernel_major = ledger.kernel_major;

  startup.blame = AddUpBlame(startup.phases);
  TakeAttribution(options, ledger, std::move(attribution), &startup);
  AddThreads(evidence, end, &startup);
  if (faults_timed) AccountObjects(evidence, images, end, finder, options, &startup);
  if (exact) AddPackageInits(evidence, images, end, &startup);
  AccountStorage(evidence, end, options.pages_read_known && faults_timed, sources.waits,
                 options.max_files, &startup);
  if (options.syscalls) startup.syscalls = SumSyscalls(evidence, end, options.max_searches);
  startup.observer.records = evidence.records;
  startup.observer.probe_hits = exact ? evidence.marks.size() : 0;
  if (!exact) {
    startup.observer.added_minor_faults = 0;
  } else if (faults_timed) {
    // Placing a breakpoint makes the kernel touch its page on the process's account, with no fault
    // exception that a record could come from (mm/gup.c under kernel/events/uprobes.c).
    startup.observer.added_minor_faults = ledger.unrecorded_minor;
  }
  if (options.costs) {
    startup.observer.estimated_cost_ns = EstimateObserverCost(
        evidence, exact ? BreakpointPages(evidence, images) : 0, *options.costs);
  }
  AddDegradations(evidence, images, cut, ledger, options, finder, &startup);
  const bool ended_itself =
      startup.outcome == Outcome::kReached || startup.outcome == Outcome::kExited;
  if (!exact && !cut.main && ended_itself) {
    Degrade(&startup, DegradationKind::kMainNotObserved,
            "main of this program shows in no fault of its own; the phase before it includes it");
  }
  // Where main was marked and not reached, it did not run.
  if (exact && !cut.main && ended_itself && known && !MainWasMarked(images.executable, begin)) {
    Degrade(&startup, DegradationKind::kMainNotObserved,
            images.executable->facts->is_64_bit
                ? "main was not marked in this start and shows in no fault of its own; the phase before "
                  "it includes it"
                : "a 32-bit program has no marks, and its main shows in no fault of its own; the phase "
                  "before it includes it");
  }
  const bool past_entry = cut.main.has_value();
  if (exact && main_inferred && past_entry) {
    Degrade(&startup, DegradationKind::kMainNotObserved,
            known && images.executable->facts->main_address == 0
                ? absl::StrCat(startup.process.executable,
                               ": its main could not be found; main is taken to be the entry point")
                : "main was not marked in this start; its time is inferred from faults");
  }
  GiveBackRoom(&startup);
  return startup;
}

}  // namespace startscope
