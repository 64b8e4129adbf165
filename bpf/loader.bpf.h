/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 * SPDX-FileCopyrightText: The startscope authors */

/* Marks in loaders and executables: one program under every uprobe of ours, told apart by cookie.
 * uprobe programs can be preempted, so nothing here uses per-CPU scratch across calls. */

#ifndef STARTSCOPE_BPF_LOADER_BPF_H_
#define STARTSCOPE_BPF_LOADER_BPF_H_

#include "page_cache.bpf.h"
#include "state.bpf.h"

struct named_mark {
  struct ss_mark_event event;
  char text[SS_MARK_TEXT_MAX];
};

static __always_inline void fill_mark(struct ss_mark_event *event, struct task_struct *task,
                                      struct task_struct *leader, struct pt_regs *regs,
                                      __u64 cookie) {
  event->cookie = cookie;
  event->ip = regs->ip;
  event->arg0 = regs->di;
  event->word = 0;
  event->text_len = 0;
  event->arg2 = (__u32)regs->dx;
  read_counters(task, leader, &event->now);
}

SEC("uprobe")
int on_mark(struct pt_regs *regs) {
  if (!tracked_processes) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  struct task_struct *leader = task->group_leader;
  struct ss_task_state *state = process_state(leader);
  if (!state || !state->executed) {
    struct ss_stats *counts = my_stats();
    if (counts) counts->untracked_marks++;
    return 0;
  }
  flush_pages_read(task, state);
  const __u64 cookie = bpf_get_attach_cookie(regs);
  const __u32 kind = cookie & 0x7f;
  if (kind == SS_MARK_DLOPEN) {
    struct named_mark *named = reserve_event(SS_EVENT_MARK, sizeof(*named), task, state);
    if (named) {
      fill_mark(&named->event, task, leader, regs, cookie);
      bpf_probe_read_user(&named->event.word, sizeof(named->event.word), (void *)regs->sp);
      const long length =
          bpf_probe_read_user_str(named->text, sizeof(named->text), (void *)regs->di);
      named->event.text_len = length > 0 ? length - 1 : 0;
      named->event.header.size = sizeof(named->event) + named->event.text_len;
      submit_event(named, false);
    }
    return 0;
  }
  struct ss_mark_event *event = reserve_event(SS_EVENT_MARK, sizeof(*event), task, state);
  if (event) {
    fill_mark(event, task, leader, regs, cookie);
    if (kind == SS_MARK_RELOCATE_OBJECT)
      bpf_probe_read_user(&event->word, sizeof(event->word), (void *)regs->di);
    submit_event(event, false);
  }
  /* A start that is to be unperturbed goes on without this mark, which is another watch's: the
   * record only tells that it was perturbed. */
  if ((cookie & SS_COOKIE_ENDS_STARTUP) && state->exact && !state->until_exit)
    stop_following(leader);
  return 0;
}

#endif /* STARTSCOPE_BPF_LOADER_BPF_H_ */
