// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/inspect/inspector.h"

#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "daemon/base/errno_status.h"
#include "daemon/inspect/check_facts.h"
#include "daemon/inspect/frame.h"

namespace startscope {
namespace {

// A child is replaced long before its CPU time is used up.
constexpr uint64_t kRetireAfterNs = 20'000'000'000;
// So many ends in a row are answered at once; then each waits twice as long as the one before.
constexpr uint64_t kPromptRestarts = 4;
constexpr uint64_t kFirstWaitNs = 5'000'000;
constexpr uint64_t kLongestWaitNs = 500'000'000;
// An end so long after the last one does not belong to a row.
constexpr uint64_t kQuietNs = 5'000'000'000;
// Children that hang in the kernel, which cannot be ended.
constexpr size_t kMaxHanging = 8;
constexpr int kAttempts = 2;

bool OnlyRootWrites(const FileToInspect& file) {
  return file.owner == 0 && (file.mode & (S_IWGRP | S_IWOTH)) == 0;
}

uint64_t WaitNs(uint64_t ends_in_a_row) {
  if (ends_in_a_row <= kPromptRestarts) return 0;
  const uint64_t doublings = std::min<uint64_t>(ends_in_a_row - kPromptRestarts - 1, 16);
  return std::min(kFirstWaitNs << doublings, kLongestWaitNs);
}

// What a child answered, as far as it can be true.
absl::Status CheckAnswer(const InspectAnswer& answer, const InspectQuery& query) {
  switch (answer.kind) {
    case AnswerKind::kWantsDebugFile:
      if (!query.may_want_debug_file) return absl::DataLossError("it asks twice for a debug file");
      return CheckDebugReference(answer.wanted);
    case AnswerKind::kFacts:
      if (query.task != InspectTask::kFacts) break;
      return CheckFacts(answer.facts, {query.path_label, query.sizes[0]});
    case AnswerKind::kFunctions:
      if (query.task != InspectTask::kFunctions) break;
      return CheckFunctions(answer.functions, query.file_offsets.size());
  }
  return absl::DataLossError("it answered something else than was asked");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Inspector>> Inspector::Start(const InspectorOptions& options,
                                                            Launcher* launcher) {
  std::unique_ptr<Inspector> self(new Inspector(options, launcher));
  absl::MutexLock lock(&self->mutex_);
  SS_RETURN_IF_ERROR(self->Fill(self->slots_[0], MonotonicNs() + options.start_ns));
  return self;
}

Inspector::Result Inspector::Inspect(const FileToInspect& file, const Kind& kind) {
  InspectQuery query;
  query.path_label = file.path.substr(0, kMaxPathBytes);
  query.is_loader_hint = kind.is_loader;
  query.is_library = kind.is_library;
  Failure failure;
  absl::StatusOr<InspectAnswer> answer = LookUp(file, query, &failure);
  Result result;
  if (answer.ok()) {
    result.facts = std::move(answer->facts);
    return result;
  }
  result.facts.path = query.path_label;
  result.facts.size_bytes = file.stamp.size_bytes;
  result.facts.error = absl::StrCat(query.path_label, ": not looked at: ", failure.reason);
  result.passing = failure.passing;
  return result;
}

std::vector<std::string> Inspector::FindFunctions(const FileToInspect& file,
                                                  const std::vector<uint64_t>& file_offsets) {
  InspectQuery query;
  query.task = InspectTask::kFunctions;
  query.path_label = file.path.substr(0, kMaxPathBytes);
  query.file_offsets.assign(
      file_offsets.begin(),
      file_offsets.begin() + std::min(file_offsets.size(), kMaxFunctionOffsets));
  Failure failure;
  absl::StatusOr<InspectAnswer> answer = LookUp(file, query, &failure);
  std::vector<std::string> names;
  if (answer.ok()) names = std::move(answer->functions);
  names.resize(file_offsets.size());
  return names;
}

absl::StatusOr<InspectAnswer> Inspector::LookUp(const FileToInspect& file,
                                                const InspectQuery& query, Failure* failure) {
  absl::MutexLock lock(&mutex_);
  ForgetReleased();
  const auto refuse = [failure](const std::string& reason, bool passing) {
    *failure = {reason, passing};
    return absl::FailedPreconditionError(reason);
  };
  if (const auto reason = refused_.ReasonFor(file.stamp)) return refuse(*reason, false);
  for (const Hanging& one : hanging_) {
    if (one.device != file.stamp.device) continue;
    return refuse("reading from its file system hangs", true);
  }
  uint64_t deadline_ns = MonotonicNs() + options_.look_up_ns;
  ++requests_;
  bool with_debug_files = file.open_debug_candidates != nullptr;
  for (int attempt = 1;; ++attempt) {
    Slot& slot = SlotFor(file);
    if (absl::Status status = Fill(slot, deadline_ns); !status.ok()) {
      return refuse(std::string(status.message()), true);
    }
    InspectQuery asked = query;
    asked.may_want_debug_file = with_debug_files;
    std::vector<uint64_t> debug_devices;
    absl::StatusOr<InspectAnswer> answer =
        Converse(slot.process.get(), file, asked, deadline_ns, &debug_devices);
    if (answer.ok()) return answer;
    const bool had_debug_files = !debug_devices.empty();
    const InspectorEnd end =
        TakeAway(slot, answer.status(), had_debug_files ? 0 : file.stamp.device, debug_devices);
    using Blame = InspectorEnd::Blame;
    if (had_debug_files) {
      // One of them may be another's than the file is, who must not have that refused: without them
      // then, unless they had no part in it.
      with_debug_files =
          (end.blame == Blame::kOutside || end.blame == Blame::kStarved) && attempt < kAttempts;
      deadline_ns = MonotonicNs() + options_.look_up_ns;
      continue;
    }
    // Who was killed by others says nothing of the file, unless it happens again at once.
    if (end.blame == Blame::kOutside && attempt < kAttempts) continue;
    const std::string reason = absl::StrCat("the inspector ended over it: ", end.how);
    const bool passing = end.blame == Blame::kOutside || end.blame == Blame::kStarved;
    if (!passing) refused_.Add(file.stamp, query.path_label, reason);
    return refuse(reason, passing);
  }
}

absl::StatusOr<InspectAnswer> Inspector::Converse(InspectorProcess* process,
                                                  const FileToInspect& file, InspectQuery query,
                                                  uint64_t deadline_ns,
                                                  std::vector<uint64_t>* debug_devices) {
  std::vector<DebugCandidate> debug_files;
  std::vector<int> files = {file.fd};
  query.sizes = {file.stamp.size_bytes};
  while (true) {
    query.number = next_query_++;
    SS_ASSIGN_OR_RETURN(InspectAnswer answer, process->Ask(query, files, deadline_ns));
    if (absl::Status status = CheckAnswer(answer, query); !status.ok()) {
      return absl::DataLossError(absl::StrCat("it answered what cannot be: ", status.message()));
    }
    if (answer.kind != AnswerKind::kWantsDebugFile) return answer;
    query.may_want_debug_file = false;
    // How long opening takes is not the inspector's doing.
    const uint64_t begin_ns = MonotonicNs();
    debug_files = file.open_debug_candidates(answer.wanted);
    deadline_ns += MonotonicNs() - begin_ns;
    for (const DebugCandidate& debug : debug_files) {
      if (files.size() >= kMaxQueryFiles || DebugFilesHang(debug.device)) continue;
      files.push_back(debug.fd.get());
      query.sizes.push_back(debug.size_bytes);
      debug_devices->push_back(debug.device);
    }
  }
}

Inspector::Slot& Inspector::SlotFor(const FileToInspect& file) {
  if (OnlyRootWrites(file)) return slots_[0];
  Slot& slot = slots_[1];
  if (slot.owner != file.owner) slot.process.reset();
  slot.owner = file.owner;
  return slot;
}

absl::Status Inspector::Fill(Slot& slot, uint64_t deadline_ns) {
  if (slot.process && slot.process->busy_ns() > kRetireAfterNs) slot.process.reset();
  if (slot.process) return absl::OkStatus();
  if (hanging_.size() >= kMaxHanging) {
    return absl::ResourceExhaustedError(absl::StrCat(
        kInspectorName, ": ", kMaxHanging, " of them hang in reading files that do not answer"));
  }
  const uint64_t start_ns = last_end_ns_ + WaitNs(ends_in_a_row_);
  const uint64_t now = MonotonicNs();
  if (start_ns >= deadline_ns) {
    return absl::UnavailableError(absl::StrCat(kInspectorName, ": is ended again and again"));
  }
  if (start_ns > now) {
    absl::SleepFor(absl::Nanoseconds(static_cast<int64_t>(start_ns - now)));
  }
  absl::StatusOr<std::unique_ptr<InspectorProcess>> process =
      InspectorProcess::Start(launcher_, deadline_ns);
  if (!process.ok()) {
    ++ends_in_a_row_;
    ++restarts_;
    last_end_ns_ = MonotonicNs();
    return process.status();
  }
  slot.process = *std::move(process);
  sandbox_ = slot.process->sandbox();
  return absl::OkStatus();
}

InspectorEnd Inspector::TakeAway(Slot& slot, const absl::Status& failure, uint64_t device,
                                 const std::vector<uint64_t>& debug_devices) {
  const InspectorEnd end = slot.process->End(failure);
  const uint64_t now = MonotonicNs();
  ends_in_a_row_ = now - last_end_ns_ < kQuietNs ? ends_in_a_row_ + 1 : 1;
  last_end_ns_ = now;
  ++restarts_;
  timeouts_ += absl::IsDeadlineExceeded(failure);
  if (end.is_gone) {
    slot.process.reset();
  } else {
    hanging_.push_back({std::move(slot.process), device, debug_devices});
  }
  return end;
}

bool Inspector::DebugFilesHang(uint64_t device) const {
  return std::any_of(hanging_.begin(), hanging_.end(), [device](const Hanging& one) {
    return one.device == device ||
           std::count(one.debug_devices.begin(), one.debug_devices.end(), device) != 0;
  });
}

void Inspector::ForgetReleased() {
  std::erase_if(hanging_, [](const Hanging& one) { return one.process->HasEnded(); });
}

void Inspector::Tend() {
  absl::MutexLock lock(&mutex_);
  ForgetReleased();
  for (Slot& slot : slots_) {
    if (slot.process && slot.process->HasEnded()) {
      TakeAway(slot, absl::UnavailableError("it ended while nobody asked"), 0);
    }
  }
  // The one for root's files is always there; not waited for here.
  if (!slots_[0].process && last_end_ns_ + WaitNs(ends_in_a_row_) <= MonotonicNs()) {
    Fill(slots_[0], MonotonicNs() + options_.look_up_ns).IgnoreError();
  }
}

InspectorState Inspector::State() {
  absl::MutexLock lock(&mutex_);
  InspectorState state;
  state.running = slots_[0].process && !slots_[0].process->HasEnded();
  state.requests = requests_;
  state.restarts = restarts_;
  state.timeouts = timeouts_;
  state.refused = refused_.Describe();
  state.sandbox = sandbox_;
  if (!hanging_.empty()) {
    absl::StrAppend(&state.sandbox, "; ", hanging_.size(),
                    " hang in reading files that do not answer");
  }
  return state;
}

}  // namespace startscope
