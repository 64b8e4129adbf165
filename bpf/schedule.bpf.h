/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 * SPDX-FileCopyrightText: The startscope authors */

/* Why a followed thread did not run, and where it was when it did. These hooks are on every context
 * switch of the machine: they are attached only while a watch asks for waits or samples. */

#ifndef STARTSCOPE_BPF_SCHEDULE_BPF_H_
#define STARTSCOPE_BPF_SCHEDULE_BPF_H_

#include "state.bpf.h"

static __always_inline struct ss_task_state *waits_state(struct task_struct *task) {
  struct ss_task_state *state = state_of(task);
  return state && (state->details & SS_DETAIL_WAITS) ? state : 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next,
             unsigned int prev_state) {
  if (!tracked_processes) return 0;
  const __u64 now = bpf_ktime_get_boot_ns();
  struct ss_task_state *state = waits_state(prev);
  if (state) {
    state->out_ns = now;
    state->wake_ns = 0;
    if (preempt || !prev_state) {
      state->out_reason = SS_WAIT_RUNNABLE;
    } else {
      state->out_reason =
          BPF_CORE_READ_BITFIELD_PROBED(prev, in_iowait) ? SS_WAIT_IO : SS_WAIT_SLEEP;
    }
  }
  state = waits_state(next);
  if (!state || !state->out_ns) return 0;
  struct ss_wait_event *event = reserve_event(SS_EVENT_WAIT, sizeof(*event), next, state);
  if (event) {
    event->out_boottime_ns = state->out_ns;
    event->wake_boottime_ns = state->wake_ns;
    event->reason = state->out_reason;
    event->pad = 0;
    submit_event(event, false);
  }
  state->out_ns = 0;
  return 0;
}

SEC("tp_btf/sched_waking")
int BPF_PROG(on_waking, struct task_struct *task) {
  if (!tracked_processes) return 0;
  struct ss_task_state *state = waits_state(task);
  if (state && state->out_ns && !state->wake_ns) state->wake_ns = bpf_ktime_get_boot_ns();
  return 0;
}

/* CPUID is the two bytes 0f a2. Where a hypervisor traps it, the clock's interrupt is served right
 * behind it, so a sample that lies there is time spent in the trap. */
SEC("perf_event")
int on_sample(struct ss_perf_context *context) {
  if (!tracked_processes) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  struct ss_task_state *state = state_of(task);
  if (!state || !(state->details & SS_DETAIL_SAMPLES)) return 0;
  struct ss_sample_event *event = reserve_event(SS_EVENT_SAMPLE, sizeof(*event), task, state);
  if (!event) return 0;
  event->ip = context->regs.ip;
  event->flags = 0;
  event->pad = 0;
  if (!(context->regs.cs & 3)) {
    event->flags = SS_SAMPLE_KERNEL;
  } else {
    __u8 before[2] = {};
    bpf_probe_read_user(before, sizeof(before), (void *)(context->regs.ip - sizeof(before)));
    if (before[0] == 0x0f && before[1] == 0xa2) event->flags = SS_SAMPLE_CPUID;
  }
  submit_event(event, false);
  return 0;
}

#endif /* STARTSCOPE_BPF_SCHEDULE_BPF_H_ */
