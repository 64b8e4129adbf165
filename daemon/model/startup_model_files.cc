// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// What the model asks about the files that startups map, and what it learns of them.

#include <sys/mman.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "daemon/model/boundary_finder.h"
#include "daemon/model/init_call.h"
#include "daemon/model/invoked_loader.h"
#include "daemon/model/startup_model.h"

namespace startscope {
namespace {

// Processes that are remembered beside the one that a file was asked for on behalf of.
constexpr size_t kOthersRemembered = 4;

// Level FUNCTIONS wants marks in it, and there are none.
bool LacksFunctionMarks(const KnownImage& image) {
  return image.attached_boottime_ns == 0 && HasInitSites(*image.facts);
}

// Of the file that is mapped here.
ProbeRequest RequestFor(const MappingEvent& mapping) {
  ProbeRequest request;
  request.file = mapping.file;
  request.path = mapping.path;
  request.map_address = mapping.address;
  request.map_size_bytes = mapping.size_bytes;
  return request;
}

}  // namespace

void StartupModel::RequestImages(Open* open) {
  const ExecEvent& exec = open->evidence.exec;
  if (!open->executable_requested) {
    open->executable_requested = true;
    ProbeRequest request;
    request.file = exec.executable;
    request.path = exec.filename;
    const uint64_t headers = exec.at_phdr != 0 ? exec.at_phdr : exec.at_entry;
    for (const auto& mapping : open->evidence.mappings) {
      const MappingEvent& value = mapping.value;
      const bool holds_headers =
          headers >= value.address && headers - value.address < value.size_bytes;
      if (value.file.inode == 0 || !(value.file == exec.executable || holds_headers)) continue;
      request.path = value.path;
      if (holds_headers) request.mapped_file = value.file;
    }
    RequestImage(*open, std::move(request));
  }
  if (exec.at_base == 0) {
    open->loader_requested = true;
    return;
  }
  for (const auto& mapping : open->evidence.mappings) {
    const MappingEvent& value = mapping.value;
    if (value.file.inode == 0 || exec.at_base < value.address ||
        exec.at_base - value.address >= value.size_bytes) {
      continue;
    }
    open->loader_requested = true;
    open->loader = value.file;
    ProbeRequest request = RequestFor(value);
    request.is_loader = true;
    return RequestImage(*open, std::move(request));
  }
}

void StartupModel::FollowInvokedLoader(Open* open) {
  Evidence& evidence = open->evidence;
  if (evidence.exec.at_base != 0 || open->late) return;
  const FileId executed = evidence.exec.executable;
  const auto known = images_.find(executed);
  if (known == images_.end() || !TakeInvokedProgram(*known->second.facts, &evidence)) return;
  open->loader = executed;
  open->loader_requested = true;
  open->executable_requested = false;
  RequestImages(open);
}

void StartupModel::RequestImage(const Open& open, ProbeRequest request) {
  const auto known = images_.find(request.file);
  if (known != images_.end()) {
    const ImageFacts& facts = *known->second.facts;
    // A file that could not be read may be readable now: this process is alive, the last one may
    // not have been.
    const bool failed = !facts.error.empty();
    const bool unmarked = open.precision == Precision::kExact &&
                          ((!facts.sites.empty() && known->second.attached_boottime_ns == 0) ||
                           (open.level >= Level::kFunctions && LacksFunctionMarks(known->second)));
    // The mappings of a new image come before it is known that it is executed.
    const bool seen_as_library = facts.kind == ImageKind::kLibrary && !request.is_library;
    if (!unmarked && !failed && !seen_as_library) return;
  }
  request.pid = open.evidence.pid;
  request.start_boottime_ns = open.evidence.start_boottime_ns;
  request.parent_pid = open.evidence.exec.parent_pid;
  if (const auto asked = requested_.find(request.file);
      asked != requested_.end() && (!asked->second.as_library || request.is_library)) {
    asked->second.AddOther(std::move(request));
    return;
  }
  ++stats_.files_requested;
  if (requested_.size() < options_.max_images && prober_->RequestImage(request)) {
    Asked& asked = requested_[request.file];
    asked.pid = request.pid;
    asked.as_library = request.is_library;
    return;
  }
  ++stats_.files_not_requested;
  listener_->OnLost(LossStage::kImages, 1);
}

void StartupModel::Asked::AddOther(ProbeRequest request) {
  const auto same = [&request](const ProbeRequest& one) { return one.pid == request.pid; };
  if (request.pid == pid || std::any_of(others.begin(), others.end(), same)) return;
  if (others.size() >= kOthersRemembered) others.erase(others.begin());
  others.push_back(std::move(request));
}

bool StartupModel::AskAnother(const FileId& file) {
  const auto asked = requested_.find(file);
  if (asked == requested_.end()) return false;
  std::vector<ProbeRequest>& others = asked->second.others;
  while (!others.empty()) {
    const ProbeRequest request = std::move(others.back());
    others.pop_back();
    if (request.is_library != asked->second.as_library) continue;
    asked->second.pid = request.pid;
    return prober_->RequestImage(request);
  }
  return false;
}

bool StartupModel::MayBeLibrary(const Open& open, const MappingEvent& mapping) const {
  const bool wanted = open.level >= Level::kObjects || open.loader_events;
  if (!wanted || mapping.file.inode == 0) return false;
  if ((mapping.prot & PROT_EXEC) == 0) return false;
  const auto known = images_.find(mapping.file);
  if (known == images_.end() || !known->second.facts->error.empty()) return true;
  const bool marks_wanted = open.level >= Level::kFunctions && open.precision == Precision::kExact;
  return marks_wanted && LacksFunctionMarks(known->second);
}

void StartupModel::RequestLibrary(const Open& open, const MappingEvent& mapping) {
  if (mapping.file == open.evidence.exec.executable || mapping.file == open.loader) return;
  // The interpreter is asked for as such.
  const uint64_t base = open.evidence.exec.at_base;
  if (!open.loader_requested && base != 0) return;
  ProbeRequest request = RequestFor(mapping);
  request.is_library = true;
  RequestImage(open, std::move(request));
}

void StartupModel::OnImage(const ImageEvent& image) {
  const FileId file = image.facts->file;
  // The process that it was asked for is gone, perhaps; another may still show the file.
  if (image.image == 0 && !image.forgotten && !image.facts->error.empty() && AskAnother(file))
    return;
  const auto asked = requested_.find(file);
  const bool as_library = image.facts->kind == ImageKind::kLibrary && image.facts->error.empty();
  // It may have been asked for as more than a library since.
  const bool answered = asked == requested_.end() || asked->second.as_library || !as_library;
  if (asked != requested_.end() && answered) requested_.erase(asked);
  if (image.forgotten) {
    delivery_.ForgetFunctions(file);
    images_.erase(file);
  } else {
    if (images_.size() >= options_.max_images && !images_.contains(file)) {
      images_.erase(images_.begin());
      ++stats_.images_evicted;
    }
    images_[file] = {image.image, image.facts, image.attached_marks, image.attached_boottime_ns,
                     image.attach_error};
    for (const auto& [pid, open] : open_) {
      if (open->evidence.exec.executable == file) FollowInvokedLoader(open.get());
    }
    // A start that waited for these facts may now be concluded.
    std::vector<uint32_t> waiting;
    for (const auto& [pid, open] : open_) {
      if (open->evidence.exec.executable == file && open->until_main && !open->reached_main &&
          !open->late) {
        waiting.push_back(pid);
      }
    }
    for (const uint32_t pid : waiting) TryInferMain(open_.find(pid));
  }
  if (!answered) return;
  delivery_.OnFacts(file, now_ns_);
}

StartupImages StartupModel::ImagesOf(const Open& open) const {
  return ImagesOf(open.evidence.exec.executable, open.loader);
}

StartupImages StartupModel::ImagesOf(const FileId& executable, const FileId& loader) const {
  StartupImages images;
  images.all = &images_;
  if (const auto known = images_.find(executable); known != images_.end()) {
    images.executable = &known->second;
  }
  if (const auto known = images_.find(loader); known != images_.end() && loader.inode != 0) {
    images.loader = &known->second;
  }
  return images;
}

std::set<FileId> StartupModel::AwaitedBy(const Open& open) const {
  std::set<FileId> awaited;
  if (open.level < Level::kObjects || requested_.empty()) return awaited;
  for (const auto& mapping : open.evidence.mappings) {
    const FileId& file = mapping.value.file;
    if (file.inode != 0 && requested_.contains(file)) awaited.insert(file);
  }
  return awaited;
}

}  // namespace startscope
