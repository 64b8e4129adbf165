// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/collect/probe_attacher.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bpf/event.h"
#include "daemon/base/errno_status.h"
#include "daemon/base/unique_fd.h"
#include "daemon/collect/perf_event.h"

namespace startscope {
namespace {

// bpf(BPF_LINK_CREATE) for BPF_TRACE_UPROBE_MULTI, as include/uapi/linux/bpf.h of Linux 6.6 has it;
// the distribution's header ends before it.
constexpr uint32_t kTraceUprobeMulti = 48;
constexpr uint64_t kSamplePeriodNs = 50'000;
// Where each site needs a perf event of its own, which takes 36 ms and more to detach.
constexpr size_t kMaxPerfSites = 64;
constexpr uint64_t kPageBytes = 4096;
constexpr size_t kDetachThreads = 32;
struct UprobeMultiAttributes {
  uint32_t program_fd;
  uint32_t target_fd;
  uint32_t attach_type;
  uint32_t flags;
  uint64_t path;
  uint64_t offsets;
  uint64_t ref_counter_offsets;
  uint64_t cookies;
  uint32_t count;
  uint32_t multi_flags;
  uint32_t pid;
  uint32_t padding;
};

// Which programs serve what a watch asks for beside its level.
struct DetailProgram {
  const char* program;
  uint32_t details;  // any of these
};
constexpr DetailProgram kDetailPrograms[] = {
    {"on_page_cached", SS_DETAIL_PAGES_READ},
    {"on_fault_around", SS_DETAIL_FAULT_AROUND},
    {"on_syscall_exit", SS_DETAIL_MAPPING_CALLS | SS_DETAIL_SYSCALLS},
    {"on_syscall_entry", SS_DETAIL_MAPPING_CALLS | SS_DETAIL_SYSCALLS},
    {"on_waking", SS_DETAIL_WAITS},
    {"on_switch", SS_DETAIL_WAITS},
    {"on_sample", SS_DETAIL_SAMPLES},
};

// The sites of these kinds, each place once. A function that is listed twice is probed once.
std::vector<MarkSite> SitesOf(const ImageFacts& facts, uint32_t kinds) {
  std::vector<MarkSite> sites;
  std::set<std::pair<uint64_t, MarkKind>> places;
  const auto add = [&](const MarkSite& site) {
    if ((kinds & (1u << static_cast<unsigned>(site.kind))) == 0) return;
    if (places.emplace(site.file_offset, site.kind).second) sites.push_back(site);
  };
  for (const MarkSite& site : facts.sites) add(site);
  for (const InitFunction& function : facts.init_functions) {
    if (function.site.kind != MarkKind::kNone) add(function.site);
  }
  return sites;
}

uint64_t CookieOf(uint32_t image, const ImageFacts& facts, const MarkSite& site) {
  const bool ends = site.kind == MarkKind::kMain ||
                    (site.kind == MarkKind::kEntry && EntryIsMain(facts));
  return static_cast<uint64_t>(image) << 8 | (ends ? SS_COOKIE_ENDS_STARTUP : 0u) |
         static_cast<uint64_t>(site.kind);
}

// Every page fault of one kind.
perf_event_attr FaultCounter(uint64_t config) {
  perf_event_attr attributes{};
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = config;
  attributes.sample_period = 1;
  attributes.sample_type = PERF_SAMPLE_ADDR;
  return attributes;
}

perf_event_attr Clock() {
  perf_event_attr attributes{};
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_CPU_CLOCK;
  attributes.sample_period = kSamplePeriodNs;
  return attributes;
}

// Brings the page under a probe into memory, so that the traced process does not wait for the disk
// on our behalf when the kernel writes the breakpoint.
void ReadProbedPage(int fd, uint64_t file_offset) {
  char byte = 0;
  [[maybe_unused]] const ssize_t ignored = pread(fd, &byte, 1, static_cast<off_t>(file_offset));
}

}  // namespace

ProbeAttacher::~ProbeAttacher() {
  DetachAllMarks();
  absl::MutexLock lock(&mutex_);
  while (!links_.empty()) Detach(links_.begin()->first);
}

absl::Status ProbeAttacher::AttachTracepoint(const std::string& program) {
  bpf_program* loaded = object_->program(program);
  if (loaded == nullptr) return absl::UnavailableError(absl::StrCat(program, ": not loaded"));
  bpf_link* link = bpf_program__attach(loaded);
  if (link == nullptr) return ErrnoStatus(errno, absl::StrCat("attaching ", program));
  links_[program].push_back(link);
  return absl::OkStatus();
}

absl::Status ProbeAttacher::AttachPerCpu(const std::string& program,
                                         const perf_event_attr& attributes) {
  bpf_program* loaded = object_->program(program);
  if (loaded == nullptr) return absl::UnavailableError(absl::StrCat(program, ": not loaded"));
  for (const int cpu : OnlineCpus()) {
    absl::StatusOr<UniqueFd> fd = OpenPerfEvent(attributes, cpu);
    if (!fd.ok()) {
      Detach(program);
      return fd.status();
    }
    bpf_link* link = bpf_program__attach_perf_event(loaded, fd->get());
    if (link == nullptr) {
      const int error = errno;
      Detach(program);
      return ErrnoStatus(error, absl::StrCat("attaching ", program));
    }
    [[maybe_unused]] const int owned_by_link = fd->Release();
    links_[program].push_back(link);
  }
  return absl::OkStatus();
}

void ProbeAttacher::Detach(const std::string& program) {
  const auto found = links_.find(program);
  if (found == links_.end()) return;
  for (bpf_link* link : found->second) bpf_link__destroy(link);
  links_.erase(found);
}

void ProbeAttacher::Want(const std::string& program, bool wanted) {
  if (!wanted) {
    Detach(program);
    errors_.erase(program);
    return;
  }
  if (links_.contains(program)) return;
  absl::Status status;
  if (program == "on_fault_minor") {
    status = AttachPerCpu(program, FaultCounter(PERF_COUNT_SW_PAGE_FAULTS_MIN));
  } else if (program == "on_fault_major") {
    status = AttachPerCpu(program, FaultCounter(PERF_COUNT_SW_PAGE_FAULTS_MAJ));
  } else if (program == "on_sample") {
    status = AttachPerCpu(program, Clock());
  } else {
    status = AttachTracepoint(program);
  }
  if (status.ok()) {
    errors_.erase(program);
  } else {
    errors_[program] = std::string(status.message());
  }
}

absl::Status ProbeAttacher::SetNeeds(const ProbeNeeds& needs) {
  absl::MutexLock lock(&mutex_);
  // Ends are attached before begins and detached after them: what is begun is always ended.
  const auto process = [&](bool wanted) {
    Want("on_process_exit", wanted);
    Want("on_process_fork", wanted);
    Want("on_process_exec", wanted);
  };
  const auto begin = [&](bool wanted) {
    for (const char* name : {"on_prepare_exec", "on_begin_new_exec"}) {
      if (!wanted || object_->program(name) != nullptr) Want(name, wanted);
    }
  };
  if (needs.process) process(true);
  Want("on_fault_user", needs.fault_entries);
  Want("on_fault_kernel", needs.fault_completions);
  Want("on_fault_minor", needs.fault_completions);
  Want("on_fault_major", needs.fault_completions);
  for (const DetailProgram& one : kDetailPrograms) {
    const bool wanted = needs.process && (needs.details & one.details) != 0;
    if (!wanted || object_->program(one.program) != nullptr) Want(one.program, wanted);
  }
  begin(needs.process);
  if (!needs.process) process(false);
  for (const char* essential : {"on_process_exec", "on_process_exit"}) {
    if (needs.process && errors_.contains(essential)) {
      return absl::UnavailableError(errors_[essential]);
    }
  }
  return absl::OkStatus();
}

ProbeAttacher::MarkResult ProbeAttacher::AttachMarks(uint32_t image, int fd,
                                                     const ImageFacts& facts, uint32_t kinds) {
  MarkResult result;
  bpf_program* program = object_->program("on_mark");
  if (program == nullptr) {
    result.error = "on_mark: not loaded";
    return result;
  }
  DetachMarks(image);
  std::vector<MarkSite> sites = SitesOf(facts, kinds);
  if (sites.empty()) return result;
  if (!object_->marks_use_uprobe_multi() && sites.size() > kMaxPerfSites) {
    result.error = absl::StrCat(facts.path, ": ", sites.size() - kMaxPerfSites, " of ", sites.size(),
                                " places are not probed, because this kernel takes one probe at a "
                                "time; Linux 6.6 and later take them all");
    sites.resize(kMaxPerfSites);
  }
  std::vector<uint64_t> offsets;
  std::vector<uint64_t> cookies;
  for (const MarkSite& site : sites) {
    const bool same_page =
        !offsets.empty() && offsets.back() / kPageBytes == site.file_offset / kPageBytes;
    if (!same_page) ReadProbedPage(fd, site.file_offset);
    offsets.push_back(site.file_offset);
    cookies.push_back(CookieOf(image, facts, site));
  }
  const std::string path = absl::StrCat("/proc/self/fd/", fd);
  ImageMarks marks;
  if (object_->marks_use_uprobe_multi()) {
    UprobeMultiAttributes attributes{};
    attributes.program_fd = static_cast<uint32_t>(bpf_program__fd(program));
    attributes.attach_type = kTraceUprobeMulti;
    attributes.path = reinterpret_cast<uint64_t>(path.c_str());
    attributes.offsets = reinterpret_cast<uint64_t>(offsets.data());
    attributes.cookies = reinterpret_cast<uint64_t>(cookies.data());
    attributes.count = static_cast<uint32_t>(offsets.size());
    const long link =
        syscall(SYS_bpf, BPF_LINK_CREATE, &attributes, offsetof(UprobeMultiAttributes, padding));
    if (link < 0) {
      result.error = std::string(
          ErrnoStatus(errno, absl::StrCat("placing uprobes in ", facts.path)).message());
      return result;
    }
    marks.fds.push_back(static_cast<int>(link));
    for (const MarkSite& site : sites) {
      result.attached_marks |= 1u << static_cast<unsigned>(site.kind);
    }
  } else {
    for (size_t i = 0; i < offsets.size(); ++i) {
      bpf_uprobe_opts options{};
      options.sz = sizeof(options);
      options.bpf_cookie = cookies[i];
      bpf_link* link =
          bpf_program__attach_uprobe_opts(program, /*pid=*/-1, path.c_str(), offsets[i], &options);
      if (link == nullptr) {
        result.error = std::string(
            ErrnoStatus(errno, absl::StrCat("placing a uprobe in ", facts.path)).message());
        continue;
      }
      marks.links.push_back(link);
      result.attached_marks |= 1u << static_cast<unsigned>(sites[i].kind);
    }
  }
  marks.sites = static_cast<uint32_t>(marks.links.empty() ? sites.size() : marks.links.size());
  absl::MutexLock lock(&mutex_);
  marks_[image] = std::move(marks);
  return result;
}

void ProbeAttacher::DetachMarks(const std::vector<uint32_t>& images) {
  std::vector<int> fds;
  Links links;
  {
    absl::MutexLock lock(&mutex_);
    for (const uint32_t image : images) {
      const auto found = marks_.find(image);
      if (found == marks_.end()) continue;
      fds.insert(fds.end(), found->second.fds.begin(), found->second.fds.end());
      links.insert(links.end(), found->second.links.begin(), found->second.links.end());
      marks_.erase(found);
    }
  }
  const size_t count = fds.size() + links.size();
  std::atomic<size_t> next{0};
  const auto detach_some = [&] {
    for (size_t i = next++; i < count; i = next++) {
      if (i < fds.size()) {
        close(fds[i]);
      } else {
        bpf_link__destroy(links[i - fds.size()]);
      }
    }
  };
  std::vector<std::thread> helpers;
  for (size_t i = 1; i < std::min(count, kDetachThreads); ++i) helpers.emplace_back(detach_some);
  detach_some();
  for (std::thread& helper : helpers) helper.join();
}

void ProbeAttacher::DetachAllMarks() {
  std::vector<uint32_t> images;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [image, marks] : marks_) images.push_back(image);
  }
  DetachMarks(images);
}

std::vector<ProbeAttacher::ProbeState> ProbeAttacher::States() const {
  absl::MutexLock lock(&mutex_);
  std::vector<ProbeState> states;
  for (int i = 0; i < kBpfProgramCount; ++i) {
    ProbeState state;
    state.name = kBpfPrograms[i];
    state.loaded = object_->program(state.name) != nullptr;
    if (const auto found = links_.find(state.name); found != links_.end()) {
      state.attachments = static_cast<uint32_t>(found->second.size());
    }
    if (const auto found = errors_.find(state.name); found != errors_.end()) {
      state.detail = found->second;
    }
    if (state.name == "on_mark") {
      for (const auto& [image, marks] : marks_) state.attachments += marks.sites;
    }
    for (const BpfObject::Refusal& refusal : object_->refusals()) {
      if (refusal.program == state.name) state.detail = refusal.reason;
    }
    states.push_back(std::move(state));
  }
  return states;
}

}  // namespace startscope
