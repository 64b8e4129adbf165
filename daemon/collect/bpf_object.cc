// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/collect/bpf_object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <map>

#include "absl/strings/str_cat.h"
#include "bpf/task_state.h"
#include "daemon/base/errno_status.h"
#include "daemon/base/unique_fd.h"
#include "startscope.skel.h"

namespace startscope {

const char* const kBpfPrograms[] = {
    "on_prepare_exec", "on_begin_new_exec", "on_process_exec", "on_process_fork", "on_process_exit",
    "on_fault_user",   "on_fault_kernel",   "on_fault_minor",  "on_fault_major",  "on_mark",
    "on_page_cached",  "on_fault_around",   "on_switch",       "on_waking",       "on_sample",
    "on_syscall_entry", "on_syscall_exit",
};
const int kBpfProgramCount = sizeof(kBpfPrograms) / sizeof(kBpfPrograms[0]);

bool IsEssentialProgram(const std::string& program) {
  return program == "on_process_exec" || program == "on_process_exit";
}

namespace {

// BPF_TRACE_UPROBE_MULTI; the distribution's headers are older than it.
constexpr auto kTraceUprobeMulti = static_cast<bpf_attach_type>(48);

thread_local std::string* g_log_sink = nullptr;

int CollectLog(libbpf_print_level level, const char* format, va_list args) {
  if (level != LIBBPF_WARN || g_log_sink == nullptr) return 0;
  char line[512];
  const int length = vsnprintf(line, sizeof(line), format, args);
  // The verifier's log comes as one huge line; its last words are what matters, and they follow.
  if (length > 0 && g_log_sink->size() < 4096) absl::StrAppend(g_log_sink, line);
  return 0;
}

// Collects libbpf's complaints of this thread for as long as it lives.
class LibbpfLog {
 public:
  LibbpfLog() { g_log_sink = &text_; }
  ~LibbpfLog() { g_log_sink = nullptr; }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

absl::Status LoadFailure(int error_number, const std::string& log) {
  const char* remedy = "see the kernel's message";
  if (error_number == EPERM || error_number == EACCES) {
    remedy =
        "run as root or with CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN; kernel lockdown in "
        "confidentiality mode also forbids this";
  } else if (error_number == ENOSYS) {
    remedy = "this kernel has no bpf(2)";
  }
  return ErrnoStatus(error_number, absl::StrCat("loading BPF programs: ", FirstLine(log)), remedy);
}

}  // namespace

BpfObject::~BpfObject() { startscope_bpf__destroy(skeleton_); }

absl::Status BpfObject::TryLoad(const std::set<std::string>& left_out,
                                const BpfObjectOptions& options) {
  startscope_bpf__destroy(skeleton_);
  skeleton_ = startscope_bpf__open();
  if (skeleton_ == nullptr) return ErrnoStatus(errno, "opening the BPF object");
  for (const char* name : kBpfPrograms) {
    bpf_program* program = bpf_object__find_program_by_name(skeleton_->obj, name);
    bpf_program__set_autoload(program, !left_out.contains(name));
  }
  if (marks_use_uprobe_multi_) {
    bpf_program__set_expected_attach_type(skeleton_->progs.on_mark, kTraceUprobeMulti);
  }
  skeleton_->rodata->has_exec_begin_hook =
      !left_out.contains("on_prepare_exec") || !left_out.contains("on_begin_new_exec");
  skeleton_->rodata->cgroup_startup_ns =
      options.cgroup_rate == 0 ? 0 : SS_BUDGET_BURST_NS / options.cgroup_rate;
  skeleton_->rodata->argument_bytes = std::min<uint32_t>(options.argument_bytes, SS_ARGUMENTS_MAX);
  bpf_map__set_max_entries(skeleton_->maps.events, options.ring_bytes);
  LibbpfLog log;
  const int error = startscope_bpf__load(skeleton_);
  if (error != 0) return LoadFailure(-error, log.text());
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<BpfObject>> BpfObject::Load(const KernelFeatures& features,
                                                           const BpfObjectOptions& options) {
  if (!features.btf) {
    return absl::FailedPreconditionError(absl::StrCat(
        "/sys/kernel/btf/vmlinux: ", features.btf_error,
        " (startscope needs a kernel built with CONFIG_DEBUG_INFO_BTF=y)"));
  }
  if (!features.task_storage) {
    return absl::FailedPreconditionError(
        absl::StrCat("kernel ", features.release,
                     ": no task storage for BPF (startscope needs Linux 6.1 or later)"));
  }
  libbpf_set_print(CollectLog);
  std::unique_ptr<BpfObject> object(new BpfObject);
  object->marks_use_uprobe_multi_ = features.uprobe_multi;
  std::set<std::string> left_out;
  const auto leave_out = [&](const char* name, std::string reason) {
    if (left_out.insert(name).second) object->refusals_.push_back({name, std::move(reason)});
  };
  if (features.prepare_exec_tracepoint) {
    left_out.insert("on_begin_new_exec");  // not needed: nothing is missing
  } else {
    leave_out("on_prepare_exec", "this kernel has no sched_prepare_exec tracepoint (Linux 6.9)");
  }
  if (!features.fault_tracepoints) {
    leave_out("on_fault_user", "this kernel has no page_fault_user tracepoint");
    leave_out("on_fault_kernel", "this kernel has no page_fault_kernel tracepoint");
  }
  if (!features.page_cache_tracepoint) {
    leave_out("on_page_cached", "this kernel has no mm_filemap_add_to_page_cache tracepoint");
  }
  if (!features.fault_around_tracepoint) {
    leave_out("on_fault_around", "this kernel has no mm_filemap_map_pages tracepoint (Linux 6.12)");
  }
  for (const std::string& name : options.unwanted_programs) {
    if (IsEssentialProgram(name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--without-probe ", name, ": nothing can be traced without it"));
    }
    leave_out(name.c_str(), "disabled by --without-probe");
  }
  const absl::Status first = object->TryLoad(left_out, options);
  if (first.ok()) return object;

  // Something was refused: find out what by loading each program alone with the essential ones.
  absl::Status essential = first;
  std::set<std::string> all;
  for (const char* name : kBpfPrograms) {
    if (!IsEssentialProgram(name)) all.insert(name);
  }
  essential = object->TryLoad(all, options);
  if (!essential.ok()) return essential;
  for (const std::string& name : all) {
    if (left_out.contains(name)) continue;
    std::set<std::string> others = all;
    others.erase(name);
    const absl::Status alone = object->TryLoad(others, options);
    if (!alone.ok()) leave_out(name.c_str(), std::string(alone.message()));
  }
  SS_RETURN_IF_ERROR(object->TryLoad(left_out, options));
  return object;
}

bpf_program* BpfObject::program(const std::string& name) const {
  bpf_program* program = bpf_object__find_program_by_name(skeleton_->obj, name.c_str());
  return program != nullptr && bpf_program__fd(program) >= 0 ? program : nullptr;
}

int BpfObject::ring_fd() const { return bpf_map__fd(skeleton_->maps.events); }

absl::Status BpfObject::SetRule(uint32_t slot, const ss_rule& rule) {
  if ((rule.fields & SS_RULE_ANCESTOR) != 0) {
    uint64_t mask = 0;
    const int map = bpf_map__fd(skeleton_->maps.ancestors);
    bpf_map_lookup_elem(map, &rule.ancestor_tgid, &mask);
    mask |= 1ull << slot;
    if (bpf_map_update_elem(map, &rule.ancestor_tgid, &mask, BPF_ANY) != 0) {
      return ErrnoStatus(errno, "BPF map `ancestors`");
    }
  }
  if (bpf_map_update_elem(bpf_map__fd(skeleton_->maps.rules), &slot, &rule, BPF_ANY) != 0) {
    return ErrnoStatus(errno, "BPF map `rules`");
  }
  rules_[slot] = rule;
  PublishRules();
  return absl::OkStatus();
}

void BpfObject::ClearRule(uint32_t slot) {
  const ss_rule old = rules_[slot];
  rules_[slot] = ss_rule{};
  PublishRules();
  bpf_map_update_elem(bpf_map__fd(skeleton_->maps.rules), &slot, &rules_[slot], BPF_ANY);
  if ((old.fields & SS_RULE_ANCESTOR) == 0) return;
  uint64_t mask = 0;
  const int map = bpf_map__fd(skeleton_->maps.ancestors);
  if (bpf_map_lookup_elem(map, &old.ancestor_tgid, &mask) != 0) return;
  mask &= ~(1ull << slot);
  if (mask == 0) {
    bpf_map_delete_elem(map, &old.ancestor_tgid);
  } else {
    bpf_map_update_elem(map, &old.ancestor_tgid, &mask, BPF_ANY);
  }
}

void BpfObject::PublishRules() {
  uint32_t slots = 0;
  uint32_t ancestors = 0;
  uint32_t details = 0;
  for (uint32_t i = 0; i < SS_RULE_MAX; ++i) {
    if (!rules_[i].enabled) continue;
    slots = i + 1;
    ancestors |= (rules_[i].fields & SS_RULE_ANCESTOR) != 0;
    details |= rules_[i].details;
  }
  skeleton_->bss->wanted_details = details;
  skeleton_->bss->ancestor_rule_slots = ancestors;
  skeleton_->bss->rule_slots = slots;
}

void BpfObject::SetNeverCgroups(const std::vector<CgroupPlace>& places) {
  for (size_t i = 0; i < SS_NEVER_CGROUPS; ++i) {
    const CgroupPlace place = i < places.size() ? places[i] : CgroupPlace{};
    skeleton_->bss->never_cgroup_levels[i] = place.level;
    skeleton_->bss->never_cgroup_ids[i] = place.id;
  }
}

void BpfObject::SetFileKnown(const FileId& file, bool known) {
  const ss_file_key key = {file.inode, file.device_major, file.device_minor};
  const uint64_t value = SS_FILE_KNOWN;
  const int map = bpf_map__fd(skeleton_->maps.known_files);
  if (known) {
    bpf_map_update_elem(map, &key, &value, BPF_ANY);
  } else {
    bpf_map_delete_elem(map, &key);
  }
}

void BpfObject::StopFollowing(uint32_t pid, uint64_t start_boottime_ns) {
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process.valid()) return;
  const int key = process.get();
  const int map = bpf_map__fd(skeleton_->maps.tasks);
  ss_task_state state{};
  if (bpf_map_lookup_elem(map, &key, &state) != 0) return;
  if (state.start_boottime_ns != start_boottime_ns) return;  // the pid belongs to a later process
  if (bpf_map_delete_elem(map, &key) == 0) {
    __atomic_fetch_sub(&skeleton_->bss->tracked_processes, 1, __ATOMIC_RELAXED);
  }
}

absl::Status BpfObject::FollowForCalibration(uint32_t pid, uint32_t level) {
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process.valid()) return ErrnoStatus(errno, absl::StrCat("pidfd_open of process ", pid));
  const int key = process.get();
  ss_task_state state{};
  state.role = SS_ROLE_PROCESS;
  state.level = level;
  state.executed = 1;
  state.until_exit = 1;
  state.exact = 1;
  state.generation = skeleton_->bss->generation;
  if (bpf_map_update_elem(bpf_map__fd(skeleton_->maps.tasks), &key, &state, BPF_ANY) != 0) {
    return ErrnoStatus(errno, "BPF map `tasks`");
  }
  __atomic_store_n(&skeleton_->bss->tracked_processes, 1, __ATOMIC_RELAXED);
  return absl::OkStatus();
}

void BpfObject::ForgetCalibration() {
  ResetTracking();
  const auto ignore = [](void*, void*, size_t) { return 0; };
  if (ring_buffer* ring = ring_buffer__new(ring_fd(), ignore, nullptr, nullptr)) {
    ring_buffer__consume(ring);
    ring_buffer__free(ring);
  }
  const uint32_t zero = 0;
  const std::vector<ss_stats> none(static_cast<size_t>(libbpf_num_possible_cpus()));
  bpf_map_update_elem(bpf_map__fd(skeleton_->maps.stats), &zero, none.data(), BPF_ANY);
}

void BpfObject::ResetTracking() {
  skeleton_->bss->generation = skeleton_->bss->generation + 1;
  __atomic_store_n(&skeleton_->bss->tracked_processes, 0, __ATOMIC_RELAXED);
}

ss_stats BpfObject::ReadStats() const {
  const int cpus = libbpf_num_possible_cpus();
  std::vector<ss_stats> per_cpu(cpus > 0 ? cpus : 1);
  const uint32_t key = 0;
  ss_stats sum{};
  if (bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.stats), &key, per_cpu.data()) != 0) {
    return sum;
  }
  for (const ss_stats& one : per_cpu) {
    for (size_t i = 0; i < std::size(sum.produced); ++i) {
      sum.produced[i] += one.produced[i];
      sum.dropped[i] += one.dropped[i];
    }
    sum.untracked_marks += one.untracked_marks;
    sum.faults_unpaired += one.faults_unpaired;
    sum.no_task_storage += one.no_task_storage;
    sum.throttled += one.throttled;
    sum.ancestors_not_read += one.ancestors_not_read;
    sum.early_reads_cut += one.early_reads_cut;
  }
  return sum;
}

std::vector<ThrottledCgroup> BpfObject::ReadThrottled() const {
  const int map = bpf_map__fd(skeleton_->maps.cgroup_budgets);
  std::map<uint64_t, ss_cgroup_budget> found;
  uint64_t key = 0;
  const uint64_t* previous = nullptr;
  // The walk begins anew where the kernel has forgotten the group it stood at: hence the bound.
  for (int i = 0; i < 2 * SS_BUDGET_CGROUPS; ++i) {
    uint64_t next = 0;
    if (bpf_map_get_next_key(map, previous, &next) != 0) break;
    key = next;
    previous = &key;
    ss_cgroup_budget budget{};
    if (bpf_map_lookup_elem(map, &key, &budget) == 0 && budget.throttled != 0) {
      found[key] = budget;
    }
  }
  std::vector<ThrottledCgroup> throttled;
  for (const auto& [id, budget] : found) throttled.push_back({id, budget});
  return throttled;
}

}  // namespace startscope
