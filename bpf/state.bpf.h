/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 * SPDX-FileCopyrightText: The startscope authors */

/* Maps, per-task state and the helpers that all probe topics share.
 *
 * Every task that we follow has one task_state in task storage. The state of a *process* lives with
 * the thread that executed, which becomes the leader; other threads of a followed process have a
 * state of their own that only pairs their faults. A task without a state is not followed: the one
 * look-up that finds this out, behind one read of `tracked_processes`, is all a bystander pays. */

#ifndef STARTSCOPE_BPF_STATE_BPF_H_
#define STARTSCOPE_BPF_STATE_BPF_H_

/* clang-format off */
#include <linux/bpf.h>
#include <stdbool.h>
#include "kernel_types.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "event.h"
#include "task_state.h"
/* clang-format on */

#define DEV_MAJOR(dev) ((dev) >> 20)
#define DEV_MINOR(dev) ((dev)&0xfffff)

struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct ss_task_state);
} tasks SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 8 << 20); /* the daemon resizes it before loading */
} events SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, SS_RULE_MAX);
  __type(key, __u32);
  __type(value, struct ss_rule);
} rules SEC(".maps");

/* Executables whose facts the daemon has (SS_FILE_KNOWN), and when an exec of one that it has not
 * last woke it: it must open the file while the process is there. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 8192);
  __type(key, struct ss_file_key);
  __type(value, __u64);
} known_files SEC(".maps");

/* What each control group may still begin. A group that was forgotten begins again with its burst.
 */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, SS_BUDGET_CGROUPS);
  __type(key, __u64);
  __type(value, struct ss_cgroup_budget);
} cgroup_budgets SEC(".maps");

/* Root process of a rule with SS_RULE_ANCESTOR -> the slots of such rules. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, SS_RULE_MAX);
  __type(key, __u32);
  __type(value, __u64);
} ancestors SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct ss_stats);
} stats SEC(".maps");

/* Written by the daemon: how many leading slots of `rules` may be enabled. 0: nothing is asked. */
volatile __u32 rule_slots;
/* Written by the daemon: rules with SS_RULE_ANCESTOR are enabled. */
volatile __u32 ancestor_rule_slots;

/* Control groups to leave alone, each with its depth below the root; id 0 ends the list. */
volatile __u64 never_cgroup_ids[SS_NEVER_CGROUPS];
volatile __u32 never_cgroup_levels[SS_NEVER_CGROUPS];
/* Written by the programs: processes being followed. Read by the daemon to pace its polling. */
volatile __s64 tracked_processes;
/* Written by the daemon: what any watch asks for beside its level (SS_DETAIL_*). */
volatile __u32 wanted_details;
/* Written by the daemon whenever it has detached everything: states of an earlier generation are
 * left-overs that nobody follows. */
volatile __u32 generation;
/* Written by the daemon at load: a hook that runs at the point of no return is attached. */
const volatile bool has_exec_begin_hook = true;
/* Written by the daemon at load: what one startup takes of its control group's time; 0: no limit.
 */
const volatile __u64 cgroup_startup_ns = 0;

/* Written by the daemon at load: how much of each start's arguments is collected; 0: nothing. */
const volatile __u32 argument_bytes = 0;

/* The state of `task`, or NULL. Most tasks of the machine have no storage of any kind; for them the
 * call is saved. */
static __always_inline struct ss_task_state *state_of(struct task_struct *task) {
  if (bpf_core_field_exists(task->bpf_storage) && !task->bpf_storage) return 0;
  return bpf_task_storage_get(&tasks, task, 0, 0);
}

static __always_inline struct ss_stats *my_stats(void) {
  __u32 zero = 0;
  return bpf_map_lookup_elem(&stats, &zero);
}

/* Reserves a record of exactly `size` bytes about `task`, whose state is `state`, and fills its
 * header. NULL: no room, and counted. */
static __always_inline void *reserve_event_at(__u16 kind, const __u32 size,
                                              struct task_struct *task,
                                              const struct ss_task_state *state,
                                              __u64 boottime_ns) {
  struct ss_stats *counts = my_stats();
  struct ss_event_header *header = bpf_ringbuf_reserve(&events, size, 0);
  if (!header) {
    if (counts) counts->dropped[kind & 15]++;
    return 0;
  }
  if (counts) counts->produced[kind & 15]++;
  header->kind = kind;
  header->size = size;
  header->cpu = bpf_get_smp_processor_id();
  header->boottime_ns = boottime_ns;
  header->tgid = task->tgid;
  header->tid = task->pid;
  header->start_boottime_ns = state->start_boottime_ns;
  return header;
}

static __always_inline void *reserve_event(__u16 kind, const __u32 size, struct task_struct *task,
                                           const struct ss_task_state *state) {
  return reserve_event_at(kind, size, task, state, bpf_ktime_get_boot_ns());
}

/* The reader polls on a timer; waking it from here costs an inter-processor interrupt, dear in a
 * virtual machine. So a record wakes it only when the ring is half full. */
static __always_inline void submit_event(void *event, bool wake) {
  __u64 flags = wake ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
  if (bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) >
      bpf_ringbuf_query(&events, BPF_RB_RING_SIZE) / 2)
    flags = BPF_RB_FORCE_WAKEUP;
  bpf_ringbuf_submit(event, flags);
}

#define THREADS_READ_MAX 64
#define CGROUPS_READ_MAX 8

/* Stands still while the task runs; see ss_counters. */
static __always_inline __u64 off_cpu_ns(struct task_struct *task) {
  return task->sched_info.last_arrival - task->se.prev_sum_exec_runtime;
}

struct thread_walk {
  struct list_head *head;
  struct list_head *node;
  __u64 minor_faults;
  __u64 major_faults;
  __u64 voluntary_switches;
  __u64 read_bytes;
  __u32 seen;
};

static long add_thread(__u32 index, void *data) {
  struct thread_walk *walk = data;
  struct list_head *node = walk->node;
  if (node == walk->head || !node) return 1;
  struct task_struct *thread =
      (void *)node - bpf_core_field_offset(struct task_struct, thread_node);
  walk->minor_faults += BPF_CORE_READ(thread, min_flt);
  walk->major_faults += BPF_CORE_READ(thread, maj_flt);
  walk->voluntary_switches += BPF_CORE_READ(thread, nvcsw);
  if (bpf_core_field_exists(thread->ioac.read_bytes))
    walk->read_bytes += BPF_CORE_READ(thread, ioac.read_bytes);
  walk->node = BPF_CORE_READ(node, next);
  walk->seen++;
  return 0;
}

/* Sums the counts of all live threads. The list may change under us; every step is a checked read,
 * and the walk is bounded. (A loop of its own would be followed through all its turns by the
 * verifier, in each program that reads counters.) */
static __always_inline void add_live_threads(struct signal_struct *signal,
                                             struct ss_counters *counters) {
  struct list_head *head = &signal->thread_head;
  struct thread_walk walk = {.head = head, .node = BPF_CORE_READ(head, next)};
  bpf_loop(THREADS_READ_MAX, add_thread, &walk, 0);
  counters->minor_faults += walk.minor_faults;
  counters->major_faults += walk.major_faults;
  counters->voluntary_switches += walk.voluntary_switches;
  counters->read_bytes += walk.read_bytes;
  if (counters->threads > walk.seen) counters->threads_not_read = counters->threads - walk.seen;
}

static __always_inline __u64 throttled_ns(struct task_struct *task) {
  if (!bpf_core_field_exists(task->sched_task_group) ||
      !bpf_core_field_exists(((struct task_group *)0)->cfs_bandwidth.throttled_time))
    return 0;
  struct task_group *group = task->sched_task_group;
  __u64 sum = 0;
  for (int i = 0; i < CGROUPS_READ_MAX && group; i++) {
    struct task_group *parent = group->parent;
    if (!parent) break; /* the root has no quota */
    sum += group->cfs_bandwidth.throttled_time;
    group = parent;
  }
  return sum;
}

/* `leader` is the leader of `task`'s thread group; a program reads it once, as the kernel takes a
 * millisecond, while it loads a program, for each pointer that is read out of a task. */
static __always_inline void read_counters(struct task_struct *task, struct task_struct *leader,
                                          struct ss_counters *counters) {
  struct signal_struct *signal = task->signal;
  counters->threads = signal->nr_threads;
  counters->threads_not_read = 0;
  counters->minor_faults = signal->min_flt;
  counters->major_faults = signal->maj_flt;
  counters->voluntary_switches = signal->nvcsw;
  counters->read_bytes =
      bpf_core_field_exists(signal->ioac.read_bytes) ? signal->ioac.read_bytes : 0;
  if (counters->threads <= 1) {
    counters->minor_faults += task->min_flt;
    counters->major_faults += task->maj_flt;
    counters->voluntary_switches += task->nvcsw;
    if (bpf_core_field_exists(task->ioac.read_bytes)) counters->read_bytes += task->ioac.read_bytes;
  } else {
    add_live_threads(signal, counters);
  }
  counters->off_cpu_ns = off_cpu_ns(leader);
  counters->run_delay_ns = leader->sched_info.run_delay;
  counters->throttled_ns = throttled_ns(leader);
}

/* The state of the followed process whose leader is `leader`, or NULL. */
static __always_inline struct ss_task_state *process_state(struct task_struct *leader) {
  struct ss_task_state *state = state_of(leader);
  if (!state || state->role != SS_ROLE_PROCESS || state->generation != generation) return 0;
  return state;
}

static __always_inline void stop_following(struct task_struct *task) {
  if (bpf_task_storage_delete(&tasks, task) == 0) __sync_fetch_and_add(&tracked_processes, -1);
}

#endif /* STARTSCOPE_BPF_STATE_BPF_H_ */
