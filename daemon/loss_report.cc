// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/loss_report.h"

#include <iterator>

namespace startscope {
namespace {

struct Place {
  LossStage stage;
  const char* name;
  const char* knob;  // empty: nothing raises this bound
  const char* consequence;
  uint64_t (*produced)(const LossFigures&);
  uint64_t (*lost)(const LossFigures&);
  bool eviction = false;
};

uint64_t None(const LossFigures&) { return 0; }

uint64_t Dropped(const LossFigures& of) {
  uint64_t sum = 0;
  for (const uint64_t count : of.kernel.dropped) sum += count;
  return sum;
}

uint64_t Generated(const LossFigures& of) {
  uint64_t sum = Dropped(of);
  for (const uint64_t count : of.kernel.produced) sum += count;
  return sum;
}

constexpr Place kPlaces[] = {
    {LossStage::kKernelRing, "records the kernel's ring had no room for", "--ring-bytes",
     "startups of that time say RECORDS_LOST: the kernel's own counts in them hold, lists do not",
     Generated, Dropped},
    {LossStage::kMappingRing, "mapping records the kernel had no room for", "--mapping-ring-pages",
     "startups of that time say RECORDS_LOST: objects mapped then may be missing",
     [](const LossFigures& of) -> uint64_t {
       return of.received.mappings + of.received.mappings_lost;
     },
     [](const LossFigures& of) -> uint64_t { return of.received.mappings_lost; }},
    {LossStage::kDecode, "records that could not be decoded", "",
     "startups of that time say RECORDS_LOST; it is a fault of the daemon's, not of a bound",
     [](const LossFigures& of) -> uint64_t { return of.received.total(); },
     [](const LossFigures& of) -> uint64_t { return of.bad_records; }},
    {LossStage::kModel, "startups beyond those followed at once", "--max-open-startups",
     "they are not told of",
     [](const LossFigures& of) -> uint64_t { return of.model.startups_seen; },
     [](const LossFigures& of) -> uint64_t { return of.model.startups_refused; }},
    {LossStage::kThrottled, "startups of control groups that began too many", "--cgroup-rate",
     "they are not told of, but counted in the stream by their group",
     [](const LossFigures& of) -> uint64_t { return of.model.startups_seen + of.kernel.throttled; },
     [](const LossFigures& of) -> uint64_t { return of.kernel.throttled; }},
    {LossStage::kKernelState, "tasks the kernel had no storage for", "",
     "it had no memory: such a process is not followed, such a thread's faults have no latency",
     None, [](const LossFigures& of) -> uint64_t { return of.kernel.no_task_storage; }},
    {LossStage::kKernelState, "page faults whose beginning was not seen", "",
     "they are counted and have no latency", None,
     [](const LossFigures& of) -> uint64_t { return of.kernel.faults_unpaired; }},
    {LossStage::kKernelState, "execs with more ancestors than the 32 that are looked at", "",
     "a watch of descendants misses them if its process is beyond", None,
     [](const LossFigures& of) -> uint64_t { return of.kernel.ancestors_not_read; }},
    {LossStage::kKernelState, "files read inside an exec beyond the first 4", "",
     "their pages are not listed; the bytes read are counted", None,
     [](const LossFigures& of) -> uint64_t { return of.kernel.early_reads_cut; }},
    {LossStage::kEarly, "startups whose first mappings had to give way before they were known of",
     "--max-waiting-processes", "they say RECORDS_LOST: what the kernel mapped may be missing",
     [](const LossFigures& of) -> uint64_t { return of.model.startups_seen; },
     [](const LossFigures& of) -> uint64_t { return of.model.startups_cut_early; }},
    {LossStage::kEarly, "records of processes not followed that gave way to newer ones",
     "--max-waiting-processes", "nothing, unless a startup is counted above",
     [](const LossFigures& of) -> uint64_t { return of.early_kept; },
     [](const LossFigures& of) -> uint64_t { return of.early_gave_way; }, true},
    {LossStage::kDetails, "records beyond what is kept of one startup or of all", "--max-records",
     "their startups say LIMIT_REACHED: the kernel's own counts in them hold, lists do not",
     [](const LossFigures& of) -> uint64_t {
       return of.model.records_kept + of.model.records_not_kept;
     },
     [](const LossFigures& of) -> uint64_t { return of.model.records_not_kept; }},
    {LossStage::kLoader, "libraries loaded after startup beyond what is followed of one process",
     "", "no loader event tells of them", None,
     [](const LossFigures& of) -> uint64_t { return of.model.loads_not_followed; }},
    {LossStage::kImages, "files that were not asked for, because too many were waited for",
     "--max-waiting-files", "their startups have no marks in them and no facts of them",
     [](const LossFigures& of) -> uint64_t { return of.model.files_requested; },
     [](const LossFigures& of) -> uint64_t { return of.model.files_not_requested; }},
    {LossStage::kImages, "look-ups of files and functions refused, because too many waited",
     "--max-waiting-files", "no facts of these files, no names of these functions",
     [](const LossFigures& of) -> uint64_t { return of.images.requests; },
     [](const LossFigures& of) -> uint64_t { return of.images.refused; }},
    {LossStage::kImages, "files that could not be opened in time or at all", "",
     "their startups say UNREADABLE_IMAGE; the next process that has one is asked for it again",
     [](const LossFigures& of) -> uint64_t { return of.images.looked_up; },
     [](const LossFigures& of) -> uint64_t { return of.images.not_opened; }},
    {LossStage::kImages, "startups and loader events told before all their files were read", "",
     "half a second was over: they lack what their files would have said",
     [](const LossFigures& of) -> uint64_t { return of.told; },
     [](const LossFigures& of) { return of.hurried; }},
    {LossStage::kImages, "known files that gave way to others", "--max-files",
     "they are read again when they are met again, and that start says FIRST_SEEN",
     [](const LossFigures& of) -> uint64_t { return of.images.admitted; },
     [](const LossFigures& of) -> uint64_t { return of.images.evicted; }, true},
    {LossStage::kImages, "facts of files that gave way in the model", "--max-files",
     "startups of that moment may lack what these files say",
     [](const LossFigures& of) -> uint64_t { return of.model.files_requested; },
     [](const LossFigures& of) -> uint64_t { return of.model.images_evicted; }},
};

constexpr Place kRecording = {
    LossStage::kKept,
    "records that are not in the recording, which is full",
    "--record-bytes",
    "a replay ends there",
    [](const LossFigures& of) -> uint64_t { return of.recorded + of.not_recorded; },
    [](const LossFigures& of) -> uint64_t { return of.not_recorded; }};

}  // namespace

std::vector<DaemonStatus::Loss> ReportLosses(const LossFigures& figures) {
  std::vector<DaemonStatus::Loss> losses;
  const auto add = [&](const Place& place) {
    losses.push_back({place.stage, place.produced(figures), place.lost(figures), place.knob,
                      place.name, place.eviction, place.consequence});
  };
  for (const Place& place : kPlaces) add(place);
  if (figures.recording) add(kRecording);
  return losses;
}

}  // namespace startscope
