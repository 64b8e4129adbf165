// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/decode/decoder.h"

#include <linux/perf_event.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <numeric>
#include <string_view>
#include <type_traits>
#include <utility>

#include "bpf/event.h"
#include "daemon/base/nul_separated.h"
#include "daemon/decode/image_codec.h"

namespace startscope {
namespace {

using Bytes = std::span<const uint8_t>;

// Copies a record into its struct; bytes the record does not have (an older writer) stay zero.
template <typename T>
T CopyAs(Bytes bytes) {
  T value;
  if (bytes.size() >= sizeof(T)) {
    std::memcpy(&value, bytes.data(), sizeof(T));
  } else {
    value = T{};
    std::memcpy(&value, bytes.data(), bytes.size());
  }
  return value;
}

// The same where it lies, if it can be read there; otherwise in `room`.
template <typename T>
const T& ViewAs(Bytes bytes, T* room) {
  const bool aligned = reinterpret_cast<uintptr_t>(bytes.data()) % alignof(T) == 0;
  if (aligned && bytes.size() >= sizeof(T)) return *reinterpret_cast<const T*>(bytes.data());
  *room = CopyAs<T>(bytes);
  return *room;
}

Counters ToCounters(const ss_counters& from) {
  Counters to;
  to.minor_faults = from.minor_faults;
  to.major_faults = from.major_faults;
  to.off_cpu_ns = from.off_cpu_ns;
  to.run_delay_ns = from.run_delay_ns;
  to.read_bytes = from.read_bytes;
  to.throttled_ns = from.throttled_ns;
  to.voluntary_switches = from.voluntary_switches;
  to.threads = from.threads;
  to.threads_not_read = from.threads_not_read;
  return to;
}

// A payload of this kind, all of whose fields are then set. Most records are of the kind that the
// one before in the same place was.
template <typename T>
T& PayloadToFill(Event* event, SparePaths* spare) {
  if (T* same = std::get_if<T>(&event->payload)) return *same;
  if (auto* mapping = std::get_if<MappingEvent>(&event->payload)) spare->Give(&mapping->path);
  T& made = event->payload.emplace<T>();
  if constexpr (std::is_same_v<T, MappingEvent>) spare->Take(&made.path);
  return made;
}

size_t MinimumSize(uint16_t kind) {
  switch (kind) {
    case SS_EVENT_EXEC:
      return offsetof(ss_exec_event, tail);
    case SS_EVENT_EXEC_FAILED:
    case SS_EVENT_EXIT:
      return sizeof(ss_exit_event);
    case SS_EVENT_FORK:
      return sizeof(ss_fork_event);
    case SS_EVENT_FAULT:
      return SS_FAULT_ENTRY_SIZE;
    case SS_EVENT_MARK:
      return sizeof(ss_mark_event);
    case SS_EVENT_PAGES_READ:
      return sizeof(ss_pages_read_event);
    case SS_EVENT_WAIT:
      return sizeof(ss_wait_event);
    case SS_EVENT_SYSCALL:
      return sizeof(ss_syscall_event);
    case SS_EVENT_SAMPLE:
      return sizeof(ss_sample_event);
    default:
      return 0;
  }
}

std::string Text(const char* data, size_t capacity) {
  return std::string(data, strnlen(data, capacity));
}

// What of `bytes` is complete: an argument that was cut says nothing reliable.
ExecArguments ToArguments(Bytes bytes) {
  constexpr size_t kFixed = offsetof(ss_exec_arguments, text);
  ss_exec_arguments from{};
  std::memcpy(&from, bytes.data(), kFixed);
  ExecArguments to;
  to.values = SplitNulTerminated({reinterpret_cast<const char*>(bytes.data()) + kFixed,
                                  std::min<size_t>(from.text_len, bytes.size() - kFixed)});
  if (from.argc > to.values.size()) to.omitted = from.argc - to.values.size();
  to.unreadable = (from.flags & SS_ARGUMENTS_UNREADABLE) != 0;
  return to;
}

bool ToExec(Bytes bytes, Event* event) {
  const auto from = CopyAs<ss_exec_event>(bytes);
  const size_t tail_bytes = bytes.size() - offsetof(ss_exec_event, tail);
  const size_t text_bytes =
      size_t{from.filename_len} + size_t{from.interp_len} + size_t{from.argv0_len};
  if (text_bytes > tail_bytes) return false;
  auto made = std::make_shared<ExecEvent>();
  ExecEvent& to = *made;
  to.begin_boottime_ns = from.begin_boottime_ns;
  to.begin_source = static_cast<ExecBeginSource>(from.begin_source);
  to.begin = ToCounters(from.begin);
  to.now = ToCounters(from.now);
  to.exec_id = from.exec_id;
  to.watch_mask = from.watch_mask;
  to.cgroup_id = from.cgroup_id;
  to.parent_pid = from.parent_tgid;
  to.parent_start_boottime_ns = from.parent_start_boottime_ns;
  to.at_base = from.at_base;
  to.at_entry = from.at_entry;
  to.at_phdr = from.at_phdr;
  to.stack_start = from.stack_start;
  to.brk_start = from.brk_start;
  to.vdso_start = from.vdso_start;
  to.executable = {from.exe_dev_major, from.exe_dev_minor, from.exe_inode};
  to.uid = from.uid;
  to.gid = from.gid;
  to.euid = from.euid;
  to.mount_namespace = from.mnt_ns;
  to.pid_in_namespace = from.pid_in_ns;
  to.secure = (from.flags & SS_EXEC_SECURE) != 0;
  to.interpreted = (from.flags & SS_EXEC_INTERPRETED) != 0;
  to.compat = (from.flags & SS_EXEC_COMPAT) != 0;
  to.filename_cut = (from.flags & SS_EXEC_FILENAME_CUT) != 0;
  to.argc = from.argc;
  to.comm = Text(from.comm, sizeof(from.comm));
  const auto* text = reinterpret_cast<const char*>(bytes.data()) + offsetof(ss_exec_event, tail);
  to.filename.assign(text, from.filename_len);
  to.interpreter.assign(text + from.filename_len, from.interp_len);
  to.argv0.assign(text + from.filename_len + from.interp_len, from.argv0_len);
  if (bytes.size() >= offsetof(ss_exec_event_with_arguments, arguments.text)) {
    to.arguments = ToArguments(bytes.subspan(sizeof(ss_exec_event)));
  }
  event->payload = std::shared_ptr<const ExecEvent>(std::move(made));
  return true;
}

void ToExit(Bytes bytes, Event* event) {
  const auto from = CopyAs<ss_exit_event>(bytes);
  auto& to = event->payload.emplace<ExitEvent>();
  to.now = ToCounters(from.now);
  to.exec_id = from.exec_id;
  to.begin_boottime_ns = from.begin_boottime_ns;
  to.exit_status = from.exit_code;
  to.before_exec = (from.flags & SS_EXIT_BEFORE_EXEC) != 0;
}

void ToFork(Bytes bytes, Event* event) {
  const auto from = CopyAs<ss_fork_event>(bytes);
  auto& to = event->payload.emplace<ForkEvent>();
  to.child_pid = from.child_tgid;
  to.child_tid = from.child_tid;
  to.child_start_boottime_ns = from.child_start_boottime_ns;
  to.thread = (from.flags & SS_FORK_THREAD) != 0;
}

void ToFault(Bytes bytes, SparePaths* spare, Event* event) {
  ss_fault_event room;
  const ss_fault_event& from = ViewAs(bytes, &room);
  auto& to = PayloadToFill<FaultEvent>(event, spare);
  to.address = from.address;
  to.ip = from.ip;
  to.entry_boottime_ns = from.entry_boottime_ns;
  to.completed = (from.flags & SS_FAULT_COMPLETED) != 0;
  to.major = (from.flags & SS_FAULT_MAJOR) != 0;
  to.kernel_mode = (from.flags & SS_FAULT_KERNEL) != 0;
  to.access_known = (from.flags & SS_FAULT_ACCESS_KNOWN) != 0;
  to.write = (from.flags & SS_FAULT_WRITE) != 0;
  to.instruction_fetch = (from.flags & SS_FAULT_EXEC) != 0;
  to.counts_known = from.counts_known != 0;
  to.minor_faults = from.minor_faults;
  to.major_faults = from.major_faults;
  to.off_cpu_ns = from.off_cpu_ns;
  to.run_delay_ns = from.run_delay_ns;
  to.fault_off_cpu_ns = from.fault_off_cpu_ns;
  to.fault_run_delay_ns = from.fault_run_delay_ns;
  to.around_first_page = from.around_first_page;
  to.around_pages = from.around_pages;
}

// `length` bytes behind a record's fixed part. False: they are not there.
bool SetTailText(Bytes bytes, size_t fixed, uint32_t length, std::string* text) {
  if (length > bytes.size() - fixed) return false;
  const auto* begin = reinterpret_cast<const char*>(bytes.data()) + fixed;
  text->assign(begin, strnlen(begin, length));
  return true;
}

void ToPagesRead(Bytes bytes, Event* event) {
  const auto from = CopyAs<ss_pages_read_event>(bytes);
  auto& to = event->payload.emplace<PagesReadEvent>();
  to.first_boottime_ns = from.first_boottime_ns;
  to.file = {from.dev_major, from.dev_minor, from.inode};
  to.first_page = from.first_page;
  to.pages = from.pages;
}

void ToWait(Bytes bytes, Event* event) {
  const auto from = CopyAs<ss_wait_event>(bytes);
  auto& to = event->payload.emplace<WaitEvent>();
  to.out_boottime_ns = from.out_boottime_ns;
  to.wake_boottime_ns = from.wake_boottime_ns;
  if (from.reason >= SS_WAIT_RUNNABLE && from.reason <= SS_WAIT_SLEEP) {
    to.reason = static_cast<WaitReason>(from.reason);
  }
}

bool ToSyscall(Bytes bytes, Event* event) {
  const auto from = CopyAs<ss_syscall_event>(bytes);
  auto& to = event->payload.emplace<SyscallEvent>();
  to.entry_boottime_ns = from.entry_boottime_ns;
  to.off_cpu_ns = from.off_cpu_ns;
  to.result = from.result;
  std::copy(std::begin(from.args), std::end(from.args), std::begin(to.args));
  to.number = from.number;
  return SetTailText(bytes, sizeof(from), from.path_len, &to.path);
}

void ToSample(Bytes bytes, Event* event) {
  const auto from = CopyAs<ss_sample_event>(bytes);
  auto& to = event->payload.emplace<SampleEvent>();
  to.ip = from.ip;
  to.kernel_mode = (from.flags & SS_SAMPLE_KERNEL) != 0;
  to.after_cpuid = (from.flags & SS_SAMPLE_CPUID) != 0;
}

bool ToMark(Bytes bytes, SparePaths* spare, Event* event) {
  ss_mark_event room;
  const ss_mark_event& from = ViewAs(bytes, &room);
  auto& to = PayloadToFill<MarkEvent>(event, spare);
  to.now = ToCounters(from.now);
  to.kind = static_cast<MarkKind>(from.cookie & 0x7f);
  to.image = static_cast<uint32_t>(from.cookie >> 8);
  to.ip = from.ip;
  to.arg0 = from.arg0;
  to.word = from.word;
  to.arg2 = from.arg2;
  return SetTailText(bytes, sizeof(from), from.text_len, &to.text);
}

// struct of PERF_RECORD_MMAP2 after the header, without the trailing name and sample id.
struct Mmap2Body {
  uint32_t pid, tid;
  uint64_t address, size, page_offset;
  uint32_t major, minor;
  uint64_t inode, inode_generation;
  uint32_t prot, flags;
};
// The sample id that our attributes ask for: TID, TIME, CPU, in this order.
struct SampleId {
  uint32_t pid, tid;
  uint64_t time;
  uint32_t cpu, reserved;
};
struct LostBody {
  uint64_t id, count;
};

}  // namespace

bool Decoder::Bad(BadRecord reason) {
  ++bad_[static_cast<size_t>(reason)];
  return false;
}

uint64_t Decoder::bad_total() const {
  return std::accumulate(bad_.begin(), bad_.end(), uint64_t{0});
}

std::optional<Event> Decoder::Decode(const RawRecord& record) {
  std::optional<Event> event(std::in_place);
  if (!Decode(record, &*event)) event.reset();
  return event;
}

bool Decoder::Decode(const RawRecord& record, Event* event) {
  if (!DecodeAny(record, event)) return false;
  ++decoded_;
  return true;
}

bool Decoder::DecodeAny(const RawRecord& record, Event* event) {
  switch (record.origin) {
    case RecordOrigin::kRing:
      return DecodeRing(record.bytes, event);
    case RecordOrigin::kSideband:
      return DecodeSideband(record.bytes, event);
    case RecordOrigin::kImage:
      return DecodeImage(record.bytes, event);
    case RecordOrigin::kLost:
      return DecodeLost(record.bytes, event);
    default:
      return Bad(BadRecord::kUnknownOrigin);
  }
}

bool Decoder::DecodeRing(Bytes bytes, Event* event) {
  if (bytes.size() < sizeof(ss_event_header)) return Bad(BadRecord::kTooShort);
  ss_event_header room;
  const ss_event_header& header = ViewAs(bytes, &room);
  const size_t minimum = MinimumSize(header.kind);
  if (minimum == 0) return Bad(BadRecord::kUnknownKind);
  if (header.size > bytes.size()) return Bad(BadRecord::kSizeMismatch);
  if (header.size < minimum) return Bad(BadRecord::kTooShort);
  const Bytes body = bytes.first(header.size);
  event->boottime_ns = header.boottime_ns;
  event->cpu = header.cpu;
  event->pid = header.tgid;
  event->tid = header.tid;
  event->start_boottime_ns = header.start_boottime_ns;
  switch (header.kind) {
    case SS_EVENT_EXEC:
      return ToExec(body, event) || Bad(BadRecord::kBadText);
    case SS_EVENT_EXEC_FAILED:
    case SS_EVENT_EXIT:
      ToExit(body, event);
      return true;
    case SS_EVENT_FORK:
      ToFork(body, event);
      return true;
    case SS_EVENT_FAULT:
      ToFault(body, &spare_paths_, event);
      return true;
    case SS_EVENT_MARK:
      return ToMark(body, &spare_paths_, event) || Bad(BadRecord::kBadText);
    case SS_EVENT_PAGES_READ:
      ToPagesRead(body, event);
      return true;
    case SS_EVENT_WAIT:
      ToWait(body, event);
      return true;
    case SS_EVENT_SYSCALL:
      return ToSyscall(body, event) || Bad(BadRecord::kBadText);
    case SS_EVENT_SAMPLE:
      ToSample(body, event);
      return true;
    default:
      return Bad(BadRecord::kUnknownKind);
  }
}

bool Decoder::DecodeSideband(Bytes bytes, Event* event) {
  if (bytes.size() < sizeof(perf_event_header)) return Bad(BadRecord::kTooShort);
  const auto header = CopyAs<perf_event_header>(bytes);
  if (header.size != bytes.size()) return Bad(BadRecord::kSizeMismatch);
  const Bytes body = bytes.subspan(sizeof(header));
  if (header.type != PERF_RECORD_MMAP2 && header.type != PERF_RECORD_LOST) return false;
  const size_t fixed = header.type == PERF_RECORD_MMAP2 ? sizeof(Mmap2Body) : sizeof(LostBody);
  if (body.size() < fixed + sizeof(SampleId)) return Bad(BadRecord::kTooShort);
  const auto sample = CopyAs<SampleId>(body.last(sizeof(SampleId)));
  event->boottime_ns = sample.time;
  event->cpu = sample.cpu;
  event->pid = sample.pid;
  event->tid = sample.tid;
  event->start_boottime_ns = 0;
  if (header.type == PERF_RECORD_LOST) {
    // Written when there was room again, it tells of what came before: of whatever was under way.
    event->boottime_ns = 0;
    event->payload = LostEvent{LossStage::kMappingRing, CopyAs<LostBody>(body).count};
    return true;
  }
  const auto from = CopyAs<Mmap2Body>(body);
  event->pid = from.pid;
  event->tid = from.tid;
  auto& to = PayloadToFill<MappingEvent>(event, &spare_paths_);
  to.address = from.address;
  to.size_bytes = from.size;
  to.file_offset = from.page_offset;
  to.file = {from.major, from.minor, from.inode};
  to.prot = from.prot;
  to.flags = from.flags;
  return SetTailText(body, fixed, body.size() - fixed - sizeof(SampleId), &to.path);
}

bool Decoder::DecodeImage(Bytes bytes, Event* event) {
  *event = {};
  if (std::optional<SymbolsEvent> symbols = DecodeSymbolsEvent(bytes)) {
    event->payload = *std::move(symbols);
    return true;
  }
  std::optional<ImageEvent> image = DecodeImageEvent(bytes);
  if (!image) return Bad(BadRecord::kBadText);
  event->boottime_ns = image->attached_boottime_ns;
  event->payload = *std::move(image);
  return true;
}

bool Decoder::DecodeLost(Bytes bytes, Event* event) {
  struct {
    uint32_t stage;
    uint32_t zero;
    uint64_t count;
  } from;
  if (bytes.size() != sizeof(from)) return Bad(BadRecord::kSizeMismatch);
  std::memcpy(&from, bytes.data(), sizeof(from));
  if (from.stage < 1 || from.stage > static_cast<uint32_t>(LossStage::kLoader)) {
    return Bad(BadRecord::kUnknownKind);
  }
  *event = {};
  event->payload = LostEvent{static_cast<LossStage>(from.stage), from.count};
  return true;
}

}  // namespace startscope
