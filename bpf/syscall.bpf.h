/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 * SPDX-FileCopyrightText: The startscope authors */

/* System calls of followed threads. The hooks tax every system call of the machine: they are
 * attached only while a watch asks for calls, or for the mapping calls of level PAGES. */

#ifndef STARTSCOPE_BPF_SYSCALL_BPF_H_
#define STARTSCOPE_BPF_SYSCALL_BPF_H_

#include "state.bpf.h"

/* x86-64 system call numbers (arch/x86/entry/syscalls/syscall_64.tbl). */
enum {
  NR_OPEN = 2,
  NR_STAT = 4,
  NR_LSTAT = 6,
  NR_MMAP = 9,
  NR_MPROTECT = 10,
  NR_MUNMAP = 11,
  NR_BRK = 12,
  NR_ACCESS = 21,
  NR_MREMAP = 25,
  NR_READLINK = 89,
  NR_OPENAT = 257,
  NR_NEWFSTATAT = 262,
  NR_READLINKAT = 267,
  NR_FACCESSAT = 269,
  NR_STATX = 332,
  NR_OPENAT2 = 437,
  NR_FACCESSAT2 = 439,
};

#define NO_SUCH_FILE (-2)
#define NOT_A_DIRECTORY (-20)

static __always_inline bool is_mapping_call(long number) {
  return (number >= NR_MMAP && number <= NR_BRK) || number == NR_MREMAP;
}

/* Which argument names a file: 0 none, 1 the first, 2 the second. */
static __always_inline int path_argument(long number) {
  switch (number) {
    case NR_OPEN:
    case NR_STAT:
    case NR_LSTAT:
    case NR_ACCESS:
    case NR_READLINK:
      return 1;
    case NR_OPENAT:
    case NR_NEWFSTATAT:
    case NR_READLINKAT:
    case NR_FACCESSAT:
    case NR_STATX:
    case NR_OPENAT2:
    case NR_FACCESSAT2:
      return 2;
    default:
      return 0;
  }
}

/* Of the calls that no watch asks for, nothing more than their number is looked at. */
static __always_inline bool is_wanted_call(long number) {
  return is_mapping_call(number) || (wanted_details & SS_DETAIL_SYSCALLS);
}

SEC("tp_btf/sys_enter")
int BPF_PROG(on_syscall_entry, struct pt_regs *regs, long number) {
  if (!tracked_processes || !is_wanted_call(number)) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  struct ss_task_state *state = state_of(task);
  if (!state) return 0;
  const bool all = state->details & SS_DETAIL_SYSCALLS;
  if (!all && !((state->details & SS_DETAIL_MAPPING_CALLS) && is_mapping_call(number))) return 0;
  state->call_entry_ns = bpf_ktime_get_boot_ns();
  state->call_off_cpu_ns = off_cpu_ns(task);
  return 0;
}

static __always_inline void fill_call(struct ss_syscall_event *event, struct task_struct *task,
                                      struct ss_task_state *state, struct pt_regs *regs,
                                      long number, long result) {
  event->entry_boottime_ns = state->call_entry_ns;
  event->off_cpu_ns = off_cpu_ns(task) - state->call_off_cpu_ns;
  event->result = result;
  event->args[0] = regs->di;
  event->args[1] = regs->si;
  event->args[2] = regs->dx;
  event->args[3] = regs->r10;
  event->args[4] = regs->r8;
  event->number = number;
  event->path_len = 0;
}

struct missing_file_record {
  struct ss_syscall_event event;
  char path[SS_SYSCALL_PATH_MAX];
};

SEC("tp_btf/sys_exit")
int BPF_PROG(on_syscall_exit, struct pt_regs *regs, long result) {
  if (!tracked_processes) return 0;
  const long number = regs->orig_ax;
  if (!is_wanted_call(number)) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  struct ss_task_state *state = state_of(task);
  if (!state || !state->call_entry_ns) return 0;
  const int which = path_argument(number);
  if (which && (result == NO_SUCH_FILE || result == NOT_A_DIRECTORY)) {
    struct missing_file_record *record =
        reserve_event(SS_EVENT_SYSCALL, sizeof(*record), task, state);
    if (record) {
      fill_call(&record->event, task, state, regs, number, result);
      const char *path = (const char *)(which == 1 ? regs->di : regs->si);
      const long length = bpf_probe_read_user_str(record->path, sizeof(record->path), path);
      record->event.path_len = length > 0 ? length - 1 : 0;
      record->event.header.size = sizeof(record->event) + record->event.path_len;
      submit_event(record, false);
    }
  } else {
    struct ss_syscall_event *event = reserve_event(SS_EVENT_SYSCALL, sizeof(*event), task, state);
    if (event) {
      fill_call(event, task, state, regs, number, result);
      submit_event(event, false);
    }
  }
  state->call_entry_ns = 0;
  return 0;
}

#endif /* STARTSCOPE_BPF_SYSCALL_BPF_H_ */
