/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 * SPDX-FileCopyrightText: The startscope authors */

/* What the page cache does on a followed thread's account: pages it had to be given (read from
 * storage, readahead included) and the window it maps around a file fault. */

#ifndef STARTSCOPE_BPF_PAGE_CACHE_BPF_H_
#define STARTSCOPE_BPF_PAGE_CACHE_BPF_H_

#include "state.bpf.h"

/* Emits the run of pages that was gathered, if any. */
static __always_inline void flush_pages_read(struct task_struct *task,
                                             struct ss_task_state *state) {
  if (!state->read_pages) return;
  struct ss_pages_read_event *event =
      reserve_event(SS_EVENT_PAGES_READ, sizeof(*event), task, state);
  if (event) {
    event->first_boottime_ns = state->read_first_ns;
    event->inode = state->read_inode;
    event->dev_major = DEV_MAJOR(state->read_dev);
    event->dev_minor = DEV_MINOR(state->read_dev);
    event->first_page = state->read_first_page;
    event->pages = state->read_pages;
    submit_event(event, false);
  }
  state->read_pages = 0;
}

/* The low bits of a large folio's second flags word (include/linux/mm.h, folio_large_order();
 * before 6.6 the order had a byte of its own). A small folio's next page is another page, so ask
 * for the head flag first. */
static __always_inline __u64 folio_pages(struct folio *folio) {
  unsigned long flags = 0; /* the first word of the structure, whatever its name */
  bpf_probe_read_kernel(&flags, sizeof(flags), folio);
  if (!(flags & 1ull << bpf_core_enum_value(enum pageflags, PG_head))) return 1;
  struct folio___before_6_6 *old = (void *)folio;
  if (bpf_core_field_exists(old->_folio_order))
    return 1ull << (BPF_CORE_READ(old, _folio_order) & 15);
  return 1ull << (BPF_CORE_READ(folio, _flags_1) & 15);
}

/* exec reads the first pages of the program and of its interpreter before its point of no return,
 * when nobody follows the task yet: what it read then is kept until we know if somebody will. */
#define EARLY_RUNS 4

struct early_run {
  __u64 inode;
  __u64 first_page;
  __u64 pages;
  __u64 first_ns;
  __u32 dev;
  __u32 pad;
};

struct early_reads {
  struct early_run runs[EARLY_RUNS];
};

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 1024);
  __type(key, __u32); /* thread */
  __type(value, struct early_reads);
} early_reads SEC(".maps");

static __always_inline void keep_early_read(struct task_struct *task, struct folio *folio) {
  const __u32 tid = task->pid;
  struct early_reads *reads = bpf_map_lookup_elem(&early_reads, &tid);
  if (!reads) {
    struct early_reads none = {};
    bpf_map_update_elem(&early_reads, &tid, &none, BPF_ANY);
    reads = bpf_map_lookup_elem(&early_reads, &tid);
    if (!reads) return;
  }
  const __u64 now = bpf_ktime_get_boot_ns();
  struct inode *inode = BPF_CORE_READ(folio, mapping, host);
  const __u64 number = BPF_CORE_READ(inode, i_ino);
  const __u32 dev = BPF_CORE_READ(inode, i_sb, s_dev);
  const __u64 page = BPF_CORE_READ(folio, index);
  const __u64 pages = folio_pages(folio);
  for (int i = 0; i < EARLY_RUNS; i++) {
    struct early_run *run = &reads->runs[i];
    if (run->pages && run->inode == number && run->dev == dev) {
      run->pages += pages;
      return;
    }
    if (run->pages) continue;
    run->inode = number;
    run->dev = dev;
    run->first_page = page;
    run->pages = pages;
    run->first_ns = now;
    return;
  }
  struct ss_stats *counts = my_stats();
  if (counts) counts->early_reads_cut++;
}

static __always_inline void forget_early_reads(struct task_struct *task) {
  const __u32 tid = task->pid;
  bpf_map_delete_elem(&early_reads, &tid);
}

/* What exec read before its point of no return, now that somebody wants to know. */
static __always_inline void emit_early_reads(struct task_struct *task,
                                             const struct ss_task_state *state) {
  const __u32 tid = task->pid;
  struct early_reads *reads = bpf_map_lookup_elem(&early_reads, &tid);
  if (!reads) return;
  for (int i = 0; i < EARLY_RUNS; i++) {
    struct early_run *run = &reads->runs[i];
    if (!run->pages) break;
    struct ss_pages_read_event *event =
        reserve_event(SS_EVENT_PAGES_READ, sizeof(*event), task, state);
    if (!event) break;
    event->first_boottime_ns = run->first_ns;
    event->inode = run->inode;
    event->dev_major = DEV_MAJOR(run->dev);
    event->dev_minor = DEV_MINOR(run->dev);
    event->first_page = run->first_page;
    event->pages = run->pages;
    submit_event(event, false);
  }
}

SEC("tp_btf/mm_filemap_add_to_page_cache")
int BPF_PROG(on_page_cached, struct folio *folio) {
  if (!tracked_processes && !rule_slots) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  struct ss_task_state *state = state_of(task);
  if (!state) {
    if (BPF_CORE_READ_BITFIELD_PROBED(task, in_execve)) keep_early_read(task, folio);
    return 0;
  }
  if (!(state->details & SS_DETAIL_PAGES_READ)) return 0;
  struct inode *inode = BPF_CORE_READ(folio, mapping, host);
  const __u64 number = BPF_CORE_READ(inode, i_ino);
  const __u32 dev = BPF_CORE_READ(inode, i_sb, s_dev);
  const __u64 page = BPF_CORE_READ(folio, index);
  const __u64 pages = folio_pages(folio);
  if (state->read_pages && state->read_inode == number && state->read_dev == dev &&
      state->read_first_page + state->read_pages == page) {
    state->read_pages += pages;
    return 0;
  }
  flush_pages_read(task, state);
  state->read_inode = number;
  state->read_dev = dev;
  state->read_first_page = page;
  state->read_pages = pages;
  state->read_first_ns = bpf_ktime_get_boot_ns();
  return 0;
}

SEC("tp_btf/mm_filemap_map_pages")
int BPF_PROG(on_fault_around, struct address_space *mapping, unsigned long first,
             unsigned long last) {
  if (!tracked_processes) return 0;
  struct ss_task_state *state = state_of(bpf_get_current_task_btf());
  if (!state || !(state->details & SS_DETAIL_FAULT_AROUND) || last < first) return 0;
  state->around_first_page = first;
  state->around_pages = last - first + 1;
  return 0;
}

#endif /* STARTSCOPE_BPF_PAGE_CACHE_BPF_H_ */
