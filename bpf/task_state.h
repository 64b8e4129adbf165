/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 * SPDX-FileCopyrightText: The startscope authors */

/* What is kept of a followed task, in task storage. The daemon reads it to stop following a process, and
 * writes it to follow its own child while it calibrates. */

#ifndef STARTSCOPE_BPF_TASK_STATE_H_
#define STARTSCOPE_BPF_TASK_STATE_H_

#include "event.h"

enum ss_task_role {
  SS_ROLE_PROCESS = 1, /* executed a new image and is followed */
  SS_ROLE_THREAD = 2,  /* a further thread of a followed process */
};

struct ss_task_state {
  __u64 start_boottime_ns; /* of the process */
  /* The fault being served: entry seen, completion not yet. */
  __u64 fault_address;
  __u64 fault_entry_ns;
  __u64 fault_ip;
  __u64 fault_off_cpu_ns;
  __u64 fault_run_delay_ns;
  __u64 around_first_page;
  __u32 around_pages;
  __u32 fault_flags;
  /* The run of file pages being brought into the page cache. */
  __u64 read_inode;
  __u64 read_first_page;
  __u64 read_pages;
  __u64 read_first_ns;
  __u32 read_dev;
  __u32 out_reason;
  /* Off its CPU since; 0: on it. */
  __u64 out_ns;
  __u64 wake_ns;
  /* The system call under way; 0: none that is recorded. */
  __u64 call_entry_ns;
  __u64 call_off_cpu_ns;
  __u32 role;
  __u32 level;
  __u32 details;
  /* The rest is meaningful for SS_ROLE_PROCESS only. */
  __u32 until_exit;
  __u32 exact;
  __u32 executed; /* sched_process_exec seen */
  __u32 begin_source;
  __u32 generation;
  __u64 begin_ns;
  __u64 watch_mask;
  __u64 comm_pending; /* of watch_mask: rules still to be checked against the new comm */
  struct ss_counters begin;
};

#endif /* STARTSCOPE_BPF_TASK_STATE_H_ */
