// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/startup_builder.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/model/address_map.h"
#include "daemon/model/boundary_finder.h"
#include "daemon/model/counter_ledger.h"
#include "daemon/model/phase_cutter.h"
#include "daemon/model/phase_policy.h"

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
    if (runtime.linkage != Linkage::kUnspecified) return runtime;
  }
  // The file could not be read (yet): the kernel's own words must do.
  runtime.linkage = evidence.exec.at_base != 0 ? Linkage::kDynamic : Linkage::kStatic;
  runtime.libc = images.loader != nullptr ? images.loader->facts->libc : Libc::kUnknown;
  runtime.language = Language::kUnknown;
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

const char* SubMarkName(MarkKind kind) {
  switch (kind) {
    case MarkKind::kLibcStart:
      return "__libc_start_main";
    case MarkKind::kGoSchedinit:
      return "runtime.schedinit";
    case MarkKind::kGoRuntimeMain:
      return "runtime.main";
    case MarkKind::kRustLangStart:
      return "std::rt::lang_start";
    default:
      return nullptr;
  }
}

void AddSubMarks(const Evidence& evidence, const End& end, bool is_musl, Startup* startup) {
  const uint64_t begin = evidence.exec.begin_boottime_ns;
  std::vector<MarkKind> seen;
  for (const auto& mark : evidence.marks) {
    const char* name = SubMarkName(mark.value.kind);
    if (name == nullptr || mark.boottime_ns > end.boottime_ns) continue;
    if (is_musl && mark.value.kind == MarkKind::kLibcStart) continue;  // a boundary there
    if (std::find(seen.begin(), seen.end(), mark.value.kind) != seen.end()) continue;
    seen.push_back(mark.value.kind);
    const uint64_t offset = mark.boottime_ns - begin;
    for (PhaseSlice& slice : startup->phases) {
      if (offset < slice.offset_ns || offset > slice.offset_ns + slice.duration_ns) continue;
      if (slice.phase != Phase::kRuntimeInit) continue;
      slice.sub_marks.push_back({name, offset, BoundarySource::kSymbolUprobe});
    }
  }
}

void Degrade(Startup* startup, DegradationKind kind, std::string detail, uint64_t count = 0) {
  startup->degradations.push_back({kind, std::move(detail), count});
}

void AddDegradations(const Evidence& evidence, const StartupImages& images, const Cut& cut,
                     const LedgerResult& ledger, const BuildOptions& options,
                     const BoundaryFinder& finder, Startup* startup) {
  for (const auto& [stage, count] : evidence.lost) {
    const char* knob = stage == LossStage::kMappingRing ? "--mapping-ring-pages" : "--ring-bytes";
    Degrade(startup, DegradationKind::kRecordsLost,
            absl::StrCat(count, " records of this machine were lost while this start ran; raise ",
                         knob),
            count);
  }
  if (evidence.exec.begin_source == ExecBeginSource::kProcessExec) {
    Degrade(startup, DegradationKind::kLateBegin,
            "this kernel does not show the point of no return; what exec did before "
            "sched_process_exec is missing from kernel exec");
  }
  const std::pair<const KnownImage*, std::string> files[] = {
      {images.executable, startup->process.executable}, {images.loader, finder.loader_path()}};
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
              absl::StrCat(path, " was not yet known; the next start of it is exact"));
    } else if (!image->attach_error.empty()) {
      Degrade(startup, DegradationKind::kProbeUnavailable, image->attach_error);
    } else if (!image->facts->sites.empty() &&
               (image->attached_boottime_ns == 0 ||
                image->attached_boottime_ns > evidence.exec.begin_boottime_ns)) {
      Degrade(startup, DegradationKind::kFirstSeen,
              absl::StrCat(path, " had no marks when this start began; the next one is exact"));
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
  const uint64_t not_kept = evidence.faults_not_kept + evidence.mappings_not_kept;
  if (not_kept != 0) {
    Degrade(startup, DegradationKind::kLimitReached,
            "records beyond the bound of one start; their faults are counted, not attributed",
            not_kept);
  }
}

// Walks faults and mappings in order of time: objects, mapping calls of each phase.
void Attribute(const Evidence& evidence, const End& end, const BoundaryFinder& finder,
               const BuildOptions& options, const LedgerResult& ledger, Startup* startup) {
  const uint64_t begin = evidence.exec.begin_boottime_ns;
  AddressMap map(evidence.exec, finder.loader_file(), options.max_objects);
  Unattributed unattributed;
  unattributed.minor = ledger.unrecorded_minor;
  unattributed.major = ledger.unrecorded_major;
  std::vector<uint64_t> calls(startup->phases.size());
  std::vector<uint64_t> bytes(startup->phases.size());
  auto mapping = evidence.mappings.begin();
  const auto apply_until = [&](uint64_t time) {
    for (; mapping != evidence.mappings.end() && mapping->boottime_ns <= time; ++mapping) {
      if (map.Apply(mapping->boottime_ns, mapping->value) != AddressMap::Change::kNewMapping) {
        continue;
      }
      // What the kernel maps inside exec is no call of the process.
      if (mapping->boottime_ns <= evidence.exec_boottime_ns) continue;
      for (size_t i = startup->phases.size(); i-- > 0;) {
        if (mapping->boottime_ns - begin < startup->phases[i].offset_ns) continue;
        ++calls[i];
        bytes[i] += mapping->value.size_bytes;
        break;
      }
    }
  };
  for (const auto& fault : evidence.faults) {
    if (fault.boottime_ns > end.boottime_ns || !fault.value.completed) continue;
    apply_until(fault.boottime_ns);
    const bool latency_known = fault.value.entry_boottime_ns != 0;
    const uint64_t latency = latency_known ? fault.boottime_ns - fault.value.entry_boottime_ns : 0;
    if (!map.Charge(fault.value, latency, latency_known)) {
      ++(fault.value.major ? unattributed.major : unattributed.minor);
      if (latency_known) unattributed.fault_ns = unattributed.fault_ns.value_or(0) + latency;
    }
  }
  apply_until(end.boottime_ns);
  for (size_t i = 0; i < startup->phases.size(); ++i) {
    startup->phases[i].mmap_calls = calls[i];
    startup->phases[i].mapped_bytes = bytes[i];
  }
  if (options.level < Level::kObjects) return;
  startup->objects = map.Take(begin);
  startup->unattributed = unattributed;
  if (map.objects_not_kept() != 0) {
    Degrade(startup, DegradationKind::kLimitReached,
            "mappings of further objects; their faults are listed as unattributed",
            map.objects_not_kept());
  }
}

void NameObjects(const StartupImages& images, const BoundaryFinder& finder, Startup* startup) {
  for (MappedObject& object : startup->objects) {
    const KnownImage* image = nullptr;
    if (object.kind == ObjectKind::kExecutable) image = images.executable;
    if (object.kind == ObjectKind::kLoader) image = images.loader;
    if (image != nullptr) {
      object.build_id = image->facts->build_id;
      object.soname = image->facts->soname;
    }
    if (object.kind == ObjectKind::kLoader && images.executable != nullptr) {
      object.needed_by.push_back(startup->process.executable);
      continue;
    }
    if (object.kind != ObjectKind::kLibrary || images.executable == nullptr) continue;
    const std::string name = object.path.substr(object.path.rfind('/') + 1);
    const auto& needed = images.executable->facts->needed;
    if (std::find(needed.begin(), needed.end(), name) != needed.end()) {
      object.needed_by.push_back(startup->process.executable);
    }
  }
}

}  // namespace

Startup DescribeStartup(const Evidence& evidence, const StartupImages& images,
                        const BuildOptions& options) {
  Startup startup;
  const ExecEvent& exec = evidence.exec;
  startup.startup_id =
      absl::StrCat(evidence.pid, "-", evidence.start_boottime_ns, "-", exec.exec_id);
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
  if (!exec.argv0.empty()) process.argv.push_back(exec.argv0);
  process.executable = exec.filename;
  for (const auto& mapping : evidence.mappings) {
    if (mapping.value.file != exec.executable) continue;
    process.executable = mapping.value.path;  // as the kernel resolved it for this process
    break;
  }
  startup.runtime = RuntimeOf(evidence, images);
  if (evidence.first_exec && exec.begin_boottime_ns >= evidence.start_boottime_ns) {
    startup.spawn_ns = exec.begin_boottime_ns - evidence.start_boottime_ns;
  }
  return startup;
}

Startup BuildStartup(const Evidence& evidence, const StartupImages& images, const End& given_end,
                     const BuildOptions& options) {
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
  const Cut cut =
      CutPhases(PhasePolicyFor(startup.runtime, entry_is_main), finder, main, evidence, end);
  startup.phases = cut.slices;
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
  if (exact) {
    AddSubMarks(evidence, end, startup.runtime.libc == Libc::kMusl &&
                                   startup.runtime.linkage == Linkage::kDynamic,
                &startup);
  }

  const LedgerResult ledger = BookFaults(evidence, end, startup.phases, !exact);
  SplitTime(evidence, end, !exact, &startup.phases);
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

  Attribute(evidence, end, finder, options, ledger, &startup);
  NameObjects(images, finder, &startup);
  startup.observer.records = evidence.records;
  startup.observer.probe_hits = exact ? evidence.marks.size() : 0;
  if (!exact) {
    startup.observer.added_minor_faults = 0;
  } else if (faults_timed) {
    // Placing a breakpoint makes the kernel touch its page on the process's account, with no fault
    // exception that a record could come from (mm/gup.c under kernel/events/uprobes.c).
    startup.observer.added_minor_faults = ledger.unrecorded_minor;
  }
  AddDegradations(evidence, images, cut, ledger, options, finder, &startup);
  const bool past_entry = cut.main.has_value();
  if (exact && main_inferred && past_entry) {
    Degrade(&startup, DegradationKind::kMainNotObserved,
            known && images.executable->facts->main_address == 0
                ? absl::StrCat(startup.process.executable,
                               ": its main could not be found; main is taken to be the entry point")
                : "main was not marked in this start; its time is inferred from faults");
  }
  return startup;
}

}  // namespace startscope
