/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 * SPDX-FileCopyrightText: The startscope authors */

/* Page faults: entry from the exception tracepoints, completion and kind from the kernel's own
 * fault accounting (perf software events, mm/memory.c mm_account_fault()). The two are paired by
 * thread and address; what lies between is the fault's service time. */

#ifndef STARTSCOPE_BPF_FAULT_BPF_H_
#define STARTSCOPE_BPF_FAULT_BPF_H_

#include "page_cache.bpf.h"
#include "state.bpf.h"

/* x86 page fault error code. */
#define PF_WRITE 2ul
#define PF_USER 4ul
#define PF_INSTR 16ul

/* The state under which a fault of `task` is recorded, or NULL. A further thread outlives its
 * process's following: it finds that out here and forgets itself. */
static __always_inline struct ss_task_state *fault_state(struct task_struct *task) {
  struct ss_task_state *state = state_of(task);
  if (!state) return 0;
  if (state->role == SS_ROLE_PROCESS) return state->generation == generation ? state : 0;
  if (!process_state(task->group_leader)) {
    bpf_task_storage_delete(&tasks, task);
    return 0;
  }
  return state;
}

static __always_inline void fill_fault(struct ss_fault_event *event, struct task_struct *task,
                                       __u64 address, __u64 ip, __u64 entry_ns, __u32 flags) {
  struct signal_struct *signal = task->signal;
  event->address = address;
  event->ip = ip;
  event->entry_boottime_ns = entry_ns;
  event->flags = flags;
  event->counts_known = signal->nr_threads <= 1;
  event->minor_faults = task->min_flt + signal->min_flt;
  event->major_faults = task->maj_flt + signal->maj_flt;
  event->off_cpu_ns = off_cpu_ns(task);
  event->run_delay_ns = task->sched_info.run_delay;
}

static __always_inline int fault_entry(unsigned long address, unsigned long ip,
                                       unsigned long error_code, __u32 mode) {
  if (!tracked_processes) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  struct ss_task_state *state = fault_state(task);
  if (!state) return 0;
  __u32 flags = SS_FAULT_ACCESS_KNOWN | mode;
  if (error_code & PF_WRITE) flags |= SS_FAULT_WRITE;
  if (error_code & PF_INSTR) flags |= SS_FAULT_EXEC;
  const __u64 now = bpf_ktime_get_boot_ns();
  /* At level PHASES the entry is the record: it dates boundaries and, by the kernel's counts as of
   * now, says how many faults came before it. */
  if (state->level < SS_LEVEL_OBJECTS) {
    struct ss_fault_event *event =
        reserve_event_at(SS_EVENT_FAULT, SS_FAULT_ENTRY_SIZE, task, state, now);
    if (!event) return 0;
    fill_fault(event, task, address, ip, now, flags);
    submit_event(event, false);
    return 0;
  }
  state->fault_address = address;
  state->fault_ip = ip;
  state->fault_entry_ns = now;
  state->fault_flags = flags;
  state->fault_off_cpu_ns = off_cpu_ns(task);
  state->fault_run_delay_ns = task->sched_info.run_delay;
  state->around_pages = 0;
  return 0;
}

SEC("tp_btf/page_fault_user")
int BPF_PROG(on_fault_user, unsigned long address, struct pt_regs *regs, unsigned long error_code) {
  return fault_entry(address, regs->ip, error_code, 0);
}

SEC("tp_btf/page_fault_kernel")
int BPF_PROG(on_fault_kernel, unsigned long address, struct pt_regs *regs,
             unsigned long error_code) {
  return fault_entry(address, regs->ip, error_code, SS_FAULT_KERNEL);
}

static __always_inline int fault_completed(struct ss_perf_context *context, __u32 kind) {
  if (!tracked_processes) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  struct ss_task_state *state = fault_state(task);
  if (!state || state->level < SS_LEVEL_OBJECTS) return 0;
  flush_pages_read(task, state);
  const __u64 address = context->addr;
  __u32 flags = kind | SS_FAULT_COMPLETED;
  const bool paired = state->fault_entry_ns && state->fault_address == address;
  if (paired) {
    flags |= state->fault_flags;
  } else {
    struct ss_stats *counts = my_stats();
    if (counts) counts->faults_unpaired++;
    if (!(context->regs.cs & 3)) flags |= SS_FAULT_KERNEL;
  }
  struct ss_fault_event *event = reserve_event(SS_EVENT_FAULT, sizeof(*event), task, state);
  if (event) {
    fill_fault(event, task, address, context->regs.ip, paired ? state->fault_entry_ns : 0, flags);
    event->fault_off_cpu_ns = paired ? event->off_cpu_ns - state->fault_off_cpu_ns : 0;
    event->fault_run_delay_ns = paired ? event->run_delay_ns - state->fault_run_delay_ns : 0;
    event->around_first_page = state->around_first_page;
    event->around_pages = state->around_pages;
    event->pad = 0;
    submit_event(event, false);
  }
  state->fault_entry_ns = 0;
  state->around_pages = 0;
  return 0;
}

SEC("perf_event")
int on_fault_minor(struct ss_perf_context *context) { return fault_completed(context, 0); }

SEC("perf_event")
int on_fault_major(struct ss_perf_context *context) {
  return fault_completed(context, SS_FAULT_MAJOR);
}

#endif /* STARTSCOPE_BPF_FAULT_BPF_H_ */
