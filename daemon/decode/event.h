// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Typed events: the output of the decode stage and the only input of the model. Passive data. Times
// are CLOCK_BOOTTIME nanoseconds. Strings hold bytes as the process or kernel gave them.

#ifndef STARTSCOPE_DAEMON_DECODE_EVENT_H_
#define STARTSCOPE_DAEMON_DECODE_EVENT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "daemon/elf/image_facts.h"

namespace startscope {

// The kernel's own accounting at one moment; meaning of each as in bpf/event.h, ss_counters.
struct Counters {
  uint64_t minor_faults = 0;
  uint64_t major_faults = 0;
  uint64_t off_cpu_ns = 0;
  uint64_t run_delay_ns = 0;
  uint64_t read_bytes = 0;
  uint64_t throttled_ns = 0;
  uint64_t voluntary_switches = 0;
  uint32_t threads = 0;
  uint32_t threads_not_read = 0;
};

enum class ExecBeginSource : uint8_t { kPrepareExec = 1, kFunction = 2, kProcessExec = 3 };

// All arguments of a start, where they are collected.
struct ExecArguments {
  std::vector<std::string> values;  // those that were read whole
  uint32_t omitted = 0;             // the ones behind them
  bool unreadable = false;          // omitted because they were not in memory

  friend bool operator==(const ExecArguments&, const ExecArguments&) = default;
};

struct ExecEvent {
  uint64_t begin_boottime_ns = 0;
  ExecBeginSource begin_source = ExecBeginSource::kPrepareExec;
  Counters begin;
  Counters now;
  uint64_t exec_id = 0;
  uint64_t watch_mask = 0;
  uint64_t cgroup_id = 0;
  uint32_t parent_pid = 0;
  uint64_t parent_start_boottime_ns = 0;
  uint64_t at_base = 0;   // load address of the program interpreter; 0 if none
  uint64_t at_entry = 0;  // run-time address of the executable's entry point
  uint64_t at_phdr = 0;
  uint64_t stack_start = 0;
  uint64_t brk_start = 0;
  uint64_t vdso_start = 0;
  FileId executable;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t euid = 0;
  uint32_t mount_namespace = 0;
  uint32_t pid_in_namespace = 0;
  bool secure = false;
  bool interpreted = false;
  bool compat = false;
  bool filename_cut = false;
  uint32_t argc = 0;
  std::string comm;
  std::string filename;
  std::string interpreter;
  std::string argv0;
  std::optional<ExecArguments> arguments;  // absent: not collected
};

struct ExitEvent {
  Counters now;
  uint64_t exec_id = 0;
  uint64_t begin_boottime_ns = 0;
  uint32_t exit_status = 0;  // as wait4 reports it
  bool before_exec = false;  // exec failed after its point of no return: there was no ExecEvent
};

struct ForkEvent {
  uint32_t child_pid = 0;
  uint32_t child_tid = 0;
  uint64_t child_start_boottime_ns = 0;
  bool thread = false;
};

struct FaultEvent {
  uint64_t address = 0;
  uint64_t ip = 0;
  uint64_t entry_boottime_ns = 0;  // 0: not seen, latency unknown
  bool completed = false;          // false: only the entry was recorded; kind not known
  bool major = false;
  bool kernel_mode = false;
  bool access_known = false;  // write and instruction_fetch were observed
  bool write = false;
  bool instruction_fetch = false;
  bool counts_known = false;  // the kernel's counts for the process just after this fault
  uint64_t minor_faults = 0;
  uint64_t major_faults = 0;
  // Of the faulting thread, when the record was made; meaning as in Counters.
  uint64_t off_cpu_ns = 0;
  uint64_t run_delay_ns = 0;
  // Inside the fault; meaningful if entry_boottime_ns is.
  uint64_t fault_off_cpu_ns = 0;
  uint64_t fault_run_delay_ns = 0;
  // File pages that the kernel mapped around it; 0: none, or not asked for.
  uint64_t around_first_page = 0;
  uint32_t around_pages = 0;
};

struct MarkEvent {
  Counters now;
  MarkKind kind = MarkKind::kNone;
  uint32_t image = 0;  // number that the prober gave the file; ImageEvent carries the same
  uint64_t ip = 0;
  uint64_t arg0 = 0;
  // kDlopen: return address. kRelocateObject: what the object's addresses are shifted by.
  uint64_t word = 0;
  uint32_t arg2 = 0;  // kRelocateObject: RTLD_LAZY (1) when jump slots may wait for their first call
  std::string text;  // kDlopen: the name asked for
};

// Consecutive pages of a file that a thread brought into the page cache; readahead included.
struct PagesReadEvent {
  uint64_t first_boottime_ns = 0;
  FileId file;
  uint64_t first_page = 0;
  uint64_t pages = 0;
};

// Values equal enum ss_wait_reason.
enum class WaitReason : uint8_t { kUnspecified, kPreempted, kIo, kOther };

// A thread was off its CPU; the event's time is when it was back.
struct WaitEvent {
  uint64_t out_boottime_ns = 0;
  uint64_t wake_boottime_ns = 0;  // made runnable; 0: not seen
  WaitReason reason = WaitReason::kUnspecified;
};

// A system call returned.
struct SyscallEvent {
  uint64_t entry_boottime_ns = 0;
  uint64_t off_cpu_ns = 0;  // inside it
  int64_t result = 0;
  uint64_t args[5] = {};
  uint32_t number = 0;
  std::string path;  // of a call that found no such file
};

struct SampleEvent {
  uint64_t ip = 0;
  bool kernel_mode = false;
  bool after_cpuid = false;
};

// The answer to a request for the functions that hold some addresses of a file.
struct SymbolsEvent {
  FileId file;
  struct Symbol {
    uint64_t file_offset = 0;  // as asked
    std::string name;          // empty: none is known
  };
  std::vector<Symbol> symbols;
};

// A mapping of the process appeared or changed its protection (perf side-band MMAP2). The kernel
// sends one for every file or anonymous mapping made, and for every protection change, while tracing.
struct MappingEvent {
  uint64_t address = 0;
  uint64_t size_bytes = 0;
  uint64_t file_offset = 0;
  FileId file;       // inode 0: not a file
  uint32_t prot = 0;   // PROT_*
  uint32_t flags = 0;  // MAP_*
  std::string path;    // as the process sees it, or "//anon", "[heap]", "[stack]", "[vdso]"
};

// The prober looked at a file (executable, loader or script). Sent once a file, and again when the
// same file is asked for by a later process only if its facts changed.
struct ImageEvent {
  uint32_t image = 0;
  std::shared_ptr<const ImageFacts> facts;
  // Marks that are in place; bit per MarkKind. Sites without their bit were refused by the kernel.
  uint32_t attached_marks = 0;
  // Since when: a process whose exec began before this did not have them (0: never attached).
  uint64_t attached_boottime_ns = 0;
  std::string attach_error;
  // The prober no longer keeps this file (it was written to, or others were needed more): what was
  // known of it does not hold any longer.
  bool forgotten = false;
};

enum class LossStage : uint8_t {
  kKernelRing = 1,
  kMappingRing = 2,
  kDecode = 3,
  kModel = 4,
  kSubscriber = 5,
  // Counted where they happen; no record tells of them.
  kThrottled = 6,
  kKernelState = 7,
  kImages = 8,
  kKept = 9,
  kEarly = 10,
  kDetails = 11,
  kLoader = 12,
};

// Records between the previous event of this stage and this one are missing.
struct LostEvent {
  LossStage stage = LossStage::kKernelRing;
  uint64_t count = 0;
};

struct Event {
  uint64_t boottime_ns = 0;
  uint32_t cpu = 0;
  uint32_t pid = 0;  // thread group
  uint32_t tid = 0;
  // Of the thread group's leader; 0 when the source does not tell (mapping, image, lost).
  uint64_t start_boottime_ns = 0;
  // The one that is large and rare is held apart: every event has the size of the largest.
  std::variant<std::monostate, std::shared_ptr<const ExecEvent>, ExitEvent, ForkEvent, FaultEvent, MarkEvent,
               MappingEvent, ImageEvent, LostEvent, PagesReadEvent, WaitEvent, SyscallEvent,
               SampleEvent, SymbolsEvent>
      payload;
};

// What may remain of an event whose place serves another: memory that this other is likely to need.
inline void GiveBackMost(Event* event) {
  constexpr size_t kUsualPathBytes = 256;
  if (std::holds_alternative<FaultEvent>(event->payload)) return;
  if (auto* mapping = std::get_if<MappingEvent>(&event->payload)) {
    if (mapping->path.capacity() > kUsualPathBytes) std::string().swap(mapping->path);
    return;
  }
  event->payload = std::monostate();
}

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_DECODE_EVENT_H_
