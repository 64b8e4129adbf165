/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 * SPDX-FileCopyrightText: The startscope authors */

/* Marks in loaders and executables: one program under every uprobe of ours, told apart by cookie.
 * uprobe programs can be preempted, so nothing here uses per-CPU scratch across calls. */

#ifndef STARTSCOPE_BPF_LOADER_BPF_H_
#define STARTSCOPE_BPF_LOADER_BPF_H_

#include "state.bpf.h"

SEC("uprobe")
int on_mark(struct pt_regs *regs) {
  if (!tracked_processes) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  struct task_state *state = process_state(task);
  if (!state || !state->executed) {
    struct ss_stats *counts = my_stats();
    if (counts) counts->untracked_marks++;
    return 0;
  }
  const __u64 cookie = bpf_get_attach_cookie(regs);
  struct ss_mark_event *event = reserve_event(SS_EVENT_MARK, sizeof(*event), task);
  if (event) {
    event->cookie = cookie;
    event->ip = regs->ip;
    event->arg0 = regs->di;
    read_counters(task, &event->now);
    submit_event(event, false);
  }
  /* A start that is to be unperturbed goes on without this mark, which is another watch's: the record
   * only tells that it was perturbed. */
  if ((cookie & SS_COOKIE_ENDS_STARTUP) && state->exact && !state->until_exit)
    stop_following(task->group_leader);
  return 0;
}

#endif /* STARTSCOPE_BPF_LOADER_BPF_H_ */
