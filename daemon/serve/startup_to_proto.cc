// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/serve/startup_to_proto.h"

#include <seccomp.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/base/text_escape.h"
#include "daemon/model/mark_names.h"

namespace startscope {
namespace {

void SetTimestamp(uint64_t boottime_ns, const ProtoContext& context,
                  google::protobuf::Timestamp* to) {
  const int64_t ns = static_cast<int64_t>(boottime_ns) + context.realtime_minus_boottime_ns;
  to->set_seconds(ns / 1'000'000'000);
  to->set_nanos(static_cast<int32_t>(ns % 1'000'000'000));
}

void ToProto(const ProcessInfo& from, const ProtoContext& context, v1::Process* to) {
  to->set_pid(from.pid);
  to->set_parent_pid(from.parent_pid);
  to->set_start_boottime_ns(from.start_boottime_ns);
  to->set_uid(from.uid);
  to->set_gid(from.gid);
  EscapeToUtf8(from.comm, to->mutable_comm());
  EscapeToUtf8(from.executable, to->mutable_executable());
  for (const std::string& argument : from.argv) EscapeToUtf8(argument, to->add_argv());
  if (from.arguments_omitted) to->set_arguments_omitted(*from.arguments_omitted);
  to->set_arguments_unreadable(from.arguments_unreadable);
  to->set_cgroup_id(from.cgroup_id);
  to->set_exec_id(from.exec_id);
  if (from.filename != from.executable) EscapeToUtf8(from.filename, to->mutable_filename());
  EscapeToUtf8(from.interpreter, to->mutable_interpreter());
  to->set_secure(from.secure);
  to->set_pid_in_namespace(from.pid_in_namespace);
  if (context.cgroups == nullptr) return;
  const CgroupInfo cgroup = context.cgroups->Resolve(from.cgroup_id);
  EscapeToUtf8(cgroup.path, to->mutable_cgroup_path());
  EscapeToUtf8(cgroup.container_id, to->mutable_container_id());
  if (!cgroup.pod_uid.empty()) EscapeToUtf8(cgroup.pod_uid, to->mutable_pod()->mutable_uid());
}

void ToProto(const FaultTotals& from, v1::FaultTotals* to) {
  if (from.minor) to->set_minor(*from.minor);
  if (from.major) to->set_major(*from.major);
  if (from.fault_ns) to->set_fault_ns(*from.fault_ns);
  if (from.kernel_minor) to->set_kernel_minor(*from.kernel_minor);
  if (from.kernel_major) to->set_kernel_major(*from.kernel_major);
}

void ToProto(const Segment& from, v1::Segment* to) {
  to->set_address(from.address);
  to->set_size_bytes(from.size_bytes);
  to->set_file_offset(from.file_offset);
  to->set_permissions(Permissions(from.prot));
  to->set_minor_faults(from.minor_faults);
  to->set_major_faults(from.major_faults);
  to->set_read_faults(from.read_faults);
  to->set_write_faults(from.write_faults);
  to->set_fetch_faults(from.fetch_faults);
  if (from.fault_ns) to->set_fault_ns(*from.fault_ns);
  if (from.pages_touched) to->set_pages_touched(*from.pages_touched);
  if (from.pages_dirtied) to->set_pages_dirtied(*from.pages_dirtied);
  to->set_major_read_faults(from.major_read_faults);
  to->set_major_write_faults(from.major_write_faults);
  to->set_major_fetch_faults(from.major_fetch_faults);
  if (from.map_offset_ns) to->set_map_offset_ns(*from.map_offset_ns);
}

void ToProto(const PageHeat& from, v1::PageHeat* to) {
  to->set_file_offset(from.file_offset);
  to->set_address(from.address);
  to->set_minor_faults(from.minor_faults);
  to->set_major_faults(from.major_faults);
  to->set_written(from.written);
  to->set_fetched(from.fetched);
  to->set_first_touch_offset_ns(from.first_touch_offset_ns);
  to->set_touch_order(from.touch_order);
  if (from.fault_ns) to->set_fault_ns(*from.fault_ns);
}

void ToProto(const TimeShare& from, v1::TimeShare* to) {
  to->set_reason(ToEnum<v1::TimeReason>(from.reason));
  to->set_duration_ns(from.duration_ns);
  EscapeToUtf8(from.object, to->mutable_object());
}

void ToProto(const StorageReads& from, v1::StorageReads* to) {
  if (from.bytes) to->set_bytes(*from.bytes);
  if (from.pages) to->set_pages(*from.pages);
  for (const FileReads& file : from.files) {
    v1::FileReads* added = to->add_files();
    EscapeToUtf8(file.path, added->mutable_path());
    added->set_device(DeviceText(file.file));
    added->set_inode(file.file.inode);
    added->set_pages(file.pages);
    if (file.wait_ns) added->set_wait_ns(*file.wait_ns);
  }
  to->set_files_omitted(from.files_omitted);
  if (from.wait_ns) to->set_wait_ns(*from.wait_ns);
}

void ToProto(const SyscallUse& from, v1::SyscallUse* to) {
  for (const SyscallTotal& total : from.totals) {
    v1::SyscallTotal* added = to->add_totals();
    added->set_name(SyscallName(total.number));
    added->set_number(total.number);
    added->set_calls(total.calls);
    added->set_errors(total.errors);
    added->set_duration_ns(total.duration_ns);
    added->set_off_cpu_ns(total.off_cpu_ns);
  }
  for (const FailedSearch& search : from.searches) {
    v1::FailedSearch* added = to->add_searches();
    EscapeToUtf8(search.name, added->mutable_name());
    EscapeToUtf8(search.directory, added->mutable_directory());
    added->set_count(search.count);
    added->set_duration_ns(search.duration_ns);
  }
  to->set_calls_omitted(from.calls_omitted);
  to->set_searches_omitted(from.searches_omitted);
}

void ToProto(const RelocationCounts& from, v1::RelocationCounts* to) {
  to->set_relative(from.relative);
  to->set_relr(from.relr);
  to->set_symbol(from.symbol);
  to->set_jump_slot(from.jump_slot);
  to->set_ifunc(from.ifunc);
  to->set_copy(from.copy);
  to->set_tls(from.tls);
  to->set_other(from.other);
}

void ToProto(const SizeView& from, v1::SizeView* to) {
  to->set_code(from.code);
  to->set_read_only(from.read_only);
  to->set_data(from.data);
  to->set_zero(from.zero);
  to->set_not_loaded(from.not_loaded);
}

void ToProto(const LinkFacts& from, v1::LinkFacts* to) {
  to->set_position_independent_executable(from.position_independent_executable);
  to->set_relr(from.relr);
  to->set_bind_now(from.bind_now);
  to->set_text_relocations(from.text_relocations);
  to->set_prelinked(from.prelinked);
  to->set_sysv_hash(from.sysv_hash);
  to->set_gnu_hash(from.gnu_hash);
  to->set_executable_stack(from.executable_stack);
  to->set_has_sdt_notes(from.has_sdt_notes);
  to->set_relro(ToEnum<v1::RelroKind>(from.relro));
  EscapeToUtf8(from.rpath, to->mutable_rpath());
  EscapeToUtf8(from.runpath, to->mutable_runpath());
  ToProto(from.relocations, to->mutable_relocations());
  to->set_imported_symbols(from.imported_symbols);
  to->set_exported_symbols(from.exported_symbols);
  to->set_table_symbols(from.table_symbols);
  to->set_tls_bytes(from.tls_bytes);
  to->set_constructors(from.constructors);
  to->set_destructors(from.destructors);
  ToProto(from.by_segments, to->mutable_by_segments());
  ToProto(from.by_sections, to->mutable_by_sections());
  ToProto(from.by_symbols, to->mutable_by_symbols());
  for (const NamedSize& section : from.sections) {
    v1::NamedSize* added = to->add_sections();
    EscapeToUtf8(section.name, added->mutable_name());
    added->set_bytes(section.bytes);
  }
  for (const std::string& text : from.disagreements) EscapeToUtf8(text, to->add_disagreements());
  to->set_file_bytes(from.file_bytes);
}

void ToProto(const InitCall& from, v1::InitCall* to) {
  to->set_kind(ToEnum<v1::InitKind>(from.kind));
  EscapeToUtf8(from.symbol, to->mutable_symbol());
  EscapeToUtf8(from.unit, to->mutable_unit());
  to->set_address(from.address);
  to->set_offset_ns(from.offset_ns);
  if (from.duration_ns) to->set_duration_ns(*from.duration_ns);
  if (from.blocked_ns) to->set_blocked_ns(*from.blocked_ns);
  if (from.minor_faults) to->set_minor_faults(*from.minor_faults);
  if (from.major_faults) to->set_major_faults(*from.major_faults);
  to->set_source(ToEnum<v1::BoundarySource>(from.source));
}

// What the loader did with it.
void ToProtoLoading(const MappedObject& from, Level level, v1::MappedObject* to) {
  to->set_load_order(from.load_order);
  to->set_depth(from.depth);
  to->set_load_reason(ToEnum<v1::LoadReason>(from.reason));
  if (from.mapping_ns) to->set_mapping_ns(*from.mapping_ns);
  to->set_mapping_source(ToEnum<v1::BoundarySource>(from.mapping_source));
  to->set_relocation_source(ToEnum<v1::BoundarySource>(from.relocation_source));
  to->set_constructor_source(ToEnum<v1::BoundarySource>(from.constructor_source));
  if (from.search_ns) to->set_search_ns(*from.search_ns);
  for (const SearchMiss& miss : from.search_misses) {
    v1::SearchMiss* added = to->add_search_misses();
    EscapeToUtf8(miss.directory, added->mutable_directory());
    added->set_count(miss.count);
    added->set_duration_ns(miss.duration_ns);
  }
  if (level < Level::kFunctions) return;
  for (const InitCall& call : from.init_calls) ToProto(call, to->add_init_calls());
  to->set_init_calls_omitted(from.init_calls_omitted);
}

void ToProto(const MappedObject& from, Level level, v1::MappedObject* to) {
  EscapeToUtf8(from.path, to->mutable_path());
  if (from.facts != nullptr) {
    to->set_build_id(from.facts->build_id);
    EscapeToUtf8(from.facts->soname, to->mutable_soname());
    for (const std::string& name : from.facts->needed) EscapeToUtf8(name, to->add_needed());
  }
  for (const std::string& path : from.needed_by) EscapeToUtf8(path, to->add_needed_by());
  if (from.map_offset_ns) to->set_map_offset_ns(*from.map_offset_ns);
  if (from.mapped_bytes) to->set_mapped_bytes(*from.mapped_bytes);
  if (from.pages_mapped) to->set_pages_mapped(*from.pages_mapped);
  if (from.pages_touched) to->set_pages_touched(*from.pages_touched);
  to->set_minor_faults(from.minor_faults);
  to->set_major_faults(from.major_faults);
  if (from.fault_ns) to->set_fault_ns(*from.fault_ns);
  if (from.relocation_ns) to->set_relocation_ns(*from.relocation_ns);
  if (from.relocations) to->set_relocations(*from.relocations);
  if (from.constructor_ns) to->set_constructor_ns(*from.constructor_ns);
  for (const Segment& segment : from.segments) ToProto(segment, to->add_segments());
  to->set_kind(ToEnum<v1::ObjectKind>(from.kind));
  if (from.file.inode != 0) {
    to->set_device(DeviceText(from.file));
    to->set_inode(from.file.inode);
  }
  to->set_load_address(from.load_address);
  if (from.pages_dirtied) to->set_pages_dirtied(*from.pages_dirtied);
  if (from.pages_read) to->set_pages_read(*from.pages_read);
  if (from.io_wait_ns) to->set_io_wait_ns(*from.io_wait_ns);
  if (from.pages_resident) to->set_pages_resident(*from.pages_resident);
  if (from.first_touch_offset_ns) to->set_first_touch_offset_ns(*from.first_touch_offset_ns);
  to->set_deleted(from.deleted);
  to->set_huge_pages(from.huge_pages);
  ToProtoLoading(from, level, to);
  if (level < Level::kPages) return;
  for (const PageHeat& page : from.pages) ToProto(page, to->add_pages());
  to->set_pages_omitted(from.pages_omitted);
}

}  // namespace

std::string DeviceText(const FileId& file) {
  return absl::StrCat(file.device_major, ":", file.device_minor);
}

const char* Permissions(uint32_t prot) {
  static_assert(PROT_READ == 1 && PROT_WRITE == 2 && PROT_EXEC == 4);
  constexpr const char* kTexts[] = {"---", "r--", "-w-", "rw-", "--x", "r-x", "-wx", "rwx"};
  return kTexts[prot & (PROT_READ | PROT_WRITE | PROT_EXEC)];
}

std::string SyscallName(uint32_t number) {
  char* name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, static_cast<int>(number));
  if (name == nullptr) return absl::StrCat("syscall_", number);
  std::string text = name;
  std::free(name);
  return text;
}

void ToProto(const RuntimeInfo& from, v1::Runtime* to) {
  to->set_libc(ToEnum<v1::Libc>(from.libc));
  to->set_linkage(ToEnum<v1::Linkage>(from.linkage));
  to->set_language(ToEnum<v1::Language>(from.language));
  EscapeToUtf8(from.evidence, to->mutable_evidence());
  EscapeToUtf8(from.libc_version, to->mutable_libc_version());
}

void ToProto(const SubMark& from, v1::SubMark* to) {
  EscapeToUtf8(from.name, to->mutable_name());
  to->set_offset_ns(from.offset_ns);
  to->set_source(ToEnum<v1::BoundarySource>(from.source));
}

void ToProto(const PhaseSlice& from, v1::PhaseSlice* to) {
  to->set_phase(ToEnum<v1::Phase>(from.phase));
  to->set_offset_ns(from.offset_ns);
  to->set_duration_ns(from.duration_ns);
  if (from.on_cpu_ns) to->set_on_cpu_ns(*from.on_cpu_ns);
  if (from.runqueue_ns) to->set_runqueue_ns(*from.runqueue_ns);
  if (from.blocked_ns) to->set_blocked_ns(*from.blocked_ns);
  if (from.fault_ns) to->set_fault_ns(*from.fault_ns);
  if (from.compute_ns) to->set_compute_ns(*from.compute_ns);
  if (from.minor_faults) to->set_minor_faults(*from.minor_faults);
  if (from.major_faults) to->set_major_faults(*from.major_faults);
  if (from.mmap_calls) to->set_mmap_calls(*from.mmap_calls);
  if (from.mapped_bytes) to->set_mapped_bytes(*from.mapped_bytes);
  to->set_begin_source(ToEnum<v1::BoundarySource>(from.begin_source));
  to->set_end_source(ToEnum<v1::BoundarySource>(from.end_source));
  for (const SubMark& mark : from.sub_marks) ToProto(mark, to->add_sub_marks());
  for (const TimeShare& share : from.blame) ToProto(share, to->add_blame());
  if (from.storage_bytes) to->set_storage_bytes(*from.storage_bytes);
}

void ToProto(const Degradation& from, v1::Degradation* to) {
  to->set_kind(ToEnum<v1::DegradationKind>(from.kind));
  EscapeToUtf8(from.detail, to->mutable_detail());
  to->set_count(from.count);
}

void ToProto(const LoaderActivity& from, const ProtoContext& context, v1::LoaderEvent* to) {
  to->set_startup_id(from.startup_id);
  to->set_offset_ns(from.offset_ns);
  if (from.duration_ns) to->set_duration_ns(*from.duration_ns);
  for (const MappedObject& object : from.objects) {
    ToProto(object, Level::kObjects, to->add_objects());
  }
  to->set_kind(ToEnum<v1::LoaderEventKind>(from.kind));
  EscapeToUtf8(from.requested, to->mutable_requested());
  EscapeToUtf8(from.caller_object, to->mutable_caller_object());
  to->set_caller_offset(from.caller_offset);
  to->set_tid(from.tid);
  if (from.minor_faults) to->set_minor_faults(*from.minor_faults);
  if (from.major_faults) to->set_major_faults(*from.major_faults);
  if (from.fault_ns) to->set_fault_ns(*from.fault_ns);
  to->set_source(ToEnum<v1::BoundarySource>(from.source));
  ToProto(from.process, context, to->mutable_process());
}

void ToProto(const StuckStartup& from, const ProtoContext& context, v1::StartupStuck* to) {
  to->set_startup_id(from.startup_id);
  ToProto(from.process, context, to->mutable_process());
  ToProto(from.runtime, to->mutable_runtime());
  to->set_phase(ToEnum<v1::Phase>(from.phase));
  to->set_phase_source(ToEnum<v1::BoundarySource>(from.phase_source));
  to->set_elapsed_ns(from.elapsed_ns);
  to->set_phase_elapsed_ns(from.phase_elapsed_ns);
  EscapeToUtf8(from.object, to->mutable_object());
  EscapeToUtf8(from.function, to->mutable_function());
  to->set_activity(ToEnum<v1::StuckActivity>(from.activity));
  EscapeToUtf8(from.wait_channel, to->mutable_wait_channel());
  EscapeToUtf8(from.system_call, to->mutable_system_call());
  EscapeToUtf8(from.file, to->mutable_file());
}

void ToProto(const Startup& from, const StartupView& view, const ProtoContext& context,
             v1::Startup* to) {
  const Level level = view.level;
  to->set_startup_id(from.startup_id);
  ToProto(from.process, context, to->mutable_process());
  ToProto(from.runtime, to->mutable_runtime());
  SetTimestamp(from.begin_boottime_ns, context, to->mutable_exec_time());
  to->set_total_ns(from.total_ns);
  to->set_outcome(ToEnum<v1::Outcome>(from.outcome));
  for (const PhaseSlice& slice : from.phases) ToProto(slice, to->add_phases());
  for (const Milestone& milestone : from.milestones) {
    v1::Milestone* added = to->add_milestones();
    added->set_kind(ToEnum<v1::MilestoneKind>(milestone.kind));
    added->set_offset_ns(milestone.offset_ns);
    added->set_source(ToEnum<v1::BoundarySource>(milestone.source));
  }
  ToProto(from.faults, to->mutable_faults());
  if (level >= Level::kObjects && !view.brief) {
    for (const MappedObject& object : from.objects) {
      v1::MappedObject* added = to->add_objects();
      ToProto(object, level, added);
      if (view.link_facts && object.facts != nullptr && object.facts->link.known) {
        ToProto(object.facts->link, added->mutable_link());
      }
    }
    if (from.storage) ToProto(*from.storage, to->mutable_storage());
    if (from.syscalls) ToProto(*from.syscalls, to->mutable_syscalls());
  } else if (from.storage && from.storage->bytes) {
    to->mutable_storage()->set_bytes(*from.storage->bytes);
  }
  if (level >= Level::kPages && !view.brief && from.timeline) {
    const Timeline& timeline = *from.timeline;
    const size_t count = std::min<size_t>(timeline.entries.size(), view.timeline_limit);
    if (!view.timeline_apart) ToProto(timeline, 0, count, to->mutable_timeline());
    to->set_timeline_omitted(timeline.omitted + (timeline.entries.size() - count));
  }
  for (const TimeShare& share : from.blame) ToProto(share, to->add_blame());
  to->set_temperature(ToEnum<v1::StartTemperature>(from.temperature));
  EscapeToUtf8(from.temperature_evidence, to->mutable_temperature_evidence());
  if (from.unattributed && level >= Level::kObjects) {
    to->mutable_unattributed()->set_minor(from.unattributed->minor);
    to->mutable_unattributed()->set_major(from.unattributed->major);
    if (from.unattributed->fault_ns) {
      to->mutable_unattributed()->set_fault_ns(*from.unattributed->fault_ns);
    }
  }
  for (const Degradation& degradation : from.degradations) {
    ToProto(degradation, to->add_degradations());
  }
  v1::Observer* observer = to->mutable_observer();
  observer->set_probe_hits(from.observer.probe_hits);
  observer->set_records(from.observer.records);
  if (from.observer.estimated_cost_ns) {
    observer->set_estimated_cost_ns(*from.observer.estimated_cost_ns);
  }
  if (from.observer.added_minor_faults) {
    observer->set_added_minor_faults(*from.observer.added_minor_faults);
  }
  to->set_level(ToEnum<v1::Level>(std::min(level, from.level)));
  to->set_precision(ToEnum<v1::Precision>(from.precision));
  if (from.exit_status) to->set_exit_status(*from.exit_status);
  if (from.threads_created) to->set_threads_created(*from.threads_created);
  if (from.spawn_ns) to->set_spawn_ns(*from.spawn_ns);
  if (from.tls && level >= Level::kObjects) {
    v1::TlsSetup* tls = to->mutable_tls();
    tls->set_bytes(from.tls->bytes);
    tls->set_objects(from.tls->objects);
    if (from.tls->offset_ns) tls->set_offset_ns(*from.tls->offset_ns);
    if (from.tls->duration_ns) tls->set_duration_ns(*from.tls->duration_ns);
    tls->set_source(ToEnum<v1::BoundarySource>(from.tls->source));
  }
  for (const ThreadStart& thread : from.threads) {
    v1::ThreadStart* added = to->add_threads();
    added->set_tid(thread.tid);
    added->set_offset_ns(thread.offset_ns);
    added->set_phase(ToEnum<v1::Phase>(thread.phase));
  }
  to->set_begin_boottime_ns(from.begin_boottime_ns);
}

void ToProto(const ThrottledGroup& from, const ProtoContext& context, v1::Throttled* to) {
  to->set_cgroup_id(from.cgroup_id);
  if (context.cgroups != nullptr && from.cgroup_id != 0) {
    EscapeToUtf8(context.cgroups->Resolve(from.cgroup_id).path, to->mutable_cgroup_path());
  }
  to->set_count(from.count);
  to->set_total(from.total);
  SetTimestamp(from.since_boottime_ns, context, to->mutable_since());
}

}  // namespace startscope
