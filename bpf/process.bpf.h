/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 * SPDX-FileCopyrightText: The startscope authors */

/* Probes on the life of a process: exec (from its point of no return), fork, exit. */

#ifndef STARTSCOPE_BPF_PROCESS_BPF_H_
#define STARTSCOPE_BPF_PROCESS_BPF_H_

#include "page_cache.bpf.h"
#include "state.bpf.h"

static __always_inline bool same_comm(const char *a, const char *b) {
  for (int i = 0; i < SS_COMM_LEN; i++) {
    if (a[i] != b[i]) return false;
    if (!a[i]) return true;
  }
  return true;
}

/* The rules whose ancestor process is above `task`: one walk up, whatever the number of rules. */
static __always_inline __u64 ancestor_rules(struct task_struct *task) {
  __u64 mask = 0;
  struct task_struct *ancestor = BPF_CORE_READ(task, real_parent);
  for (int depth = 0; depth < SS_RULE_PARENT_DEPTH; depth++) {
    __u32 tgid = BPF_CORE_READ(ancestor, tgid);
    __u64 *rules_of_root = bpf_map_lookup_elem(&ancestors, &tgid);
    if (rules_of_root) mask |= *rules_of_root;
    if (tgid <= 1) return mask;
    ancestor = BPF_CORE_READ(ancestor, real_parent);
  }
  struct ss_stats *counts = my_stats();
  if (counts) counts->ancestors_not_read++;
  return mask;
}

/* What the rules are compared with. The new comm is known only at sched_process_exec. */
struct exec_identity {
  __u32 uid;
  __u32 tgid;
  __u32 dev;
  __u32 pad;
  __u64 cgroup_id;
  __u64 inode;
  __u64 ancestor_mask;
};

static __always_inline bool rule_matches(const struct ss_rule *rule, __u32 slot,
                                         const struct exec_identity *identity) {
  const __u32 fields = rule->fields;
  if ((fields & SS_RULE_UID) && rule->uid != identity->uid) return false;
  if ((fields & SS_RULE_TGID) && rule->tgid != identity->tgid) return false;
  if ((fields & SS_RULE_CGROUP) && rule->cgroup_id != identity->cgroup_id) return false;
  if ((fields & SS_RULE_EXE) &&
      (rule->exe_inode != identity->inode || rule->exe_dev_major != DEV_MAJOR(identity->dev) ||
       rule->exe_dev_minor != DEV_MINOR(identity->dev)))
    return false;
  if ((fields & SS_RULE_ANCESTOR) && !(identity->ancestor_mask & (1ull << slot))) return false;
  return true;
}

struct match_context {
  const struct exec_identity *identity;
  struct ss_task_state *wanted;
};

/* Callbacks of bpf_loop rather than loops: the verifier walks the body once, not once a slot. */
static long match_one_rule(__u32 slot, struct match_context *context) {
  struct ss_rule *rule = bpf_map_lookup_elem(&rules, &slot);
  if (!rule) return 1;
  if (!rule->enabled || !rule_matches(rule, slot, context->identity)) return 0;
  struct ss_task_state *wanted = context->wanted;
  wanted->watch_mask |= 1ull << slot;
  if (rule->fields & SS_RULE_COMM) wanted->comm_pending |= 1ull << slot;
  if (rule->level > wanted->level) wanted->level = rule->level;
  wanted->until_exit |= rule->until_exit;
  wanted->exact |= rule->exact;
  wanted->details |= rule->details;
  return 0;
}

struct comm_context {
  struct ss_task_state *state;
  char comm[SS_COMM_LEN];
};

static long match_one_comm(__u32 slot, struct comm_context *context) {
  struct ss_task_state *state = context->state;
  if (!(state->comm_pending & (1ull << slot))) return 0;
  struct ss_rule *rule = bpf_map_lookup_elem(&rules, &slot);
  if (!rule || !same_comm(rule->comm, context->comm)) state->watch_mask &= ~(1ull << slot);
  return 0;
}

/* Whether the current task is in a control group that is to be left alone, or below one. */
static __always_inline bool in_never_cgroup(void) {
  for (int i = 0; i < SS_NEVER_CGROUPS; i++) {
    const __u64 id = never_cgroup_ids[i];
    if (!id) break;
    if (bpf_get_current_ancestor_cgroup_id(never_cgroup_levels[i]) == id) return true;
  }
  return false;
}

/* Whether the control group may begin one more startup, which then counts. CPUs that ask at the
 * same moment may spend the same token; what is refused is counted exactly. */
static __always_inline bool take_budget(const struct exec_identity *identity, __u64 watch_mask,
                                        __u64 now) {
  if (!cgroup_startup_ns) return true;
  struct ss_cgroup_budget *budget = bpf_map_lookup_elem(&cgroup_budgets, &identity->cgroup_id);
  if (!budget) {
    struct ss_cgroup_budget fresh = {.spent_until_ns = now + cgroup_startup_ns};
    bpf_map_update_elem(&cgroup_budgets, &identity->cgroup_id, &fresh, BPF_NOEXIST);
    return true;
  }
  __u64 until = budget->spent_until_ns;
  if (until < now) until = now;
  if (until + cgroup_startup_ns <= now + SS_BUDGET_BURST_NS) {
    budget->spent_until_ns = until + cgroup_startup_ns;
    return true;
  }
  __sync_fetch_and_add(&budget->throttled, 1);
  budget->watch_mask |= watch_mask;
  budget->uid = identity->uid;
  struct ss_stats *counts = my_stats();
  if (counts) counts->throttled++;
  return false;
}

static __always_inline void read_identity(struct task_struct *task, struct linux_binprm *bprm,
                                          struct exec_identity *identity) {
  struct inode *inode = bprm->file->f_inode;
  identity->uid = bpf_get_current_uid_gid();
  identity->tgid = task->tgid;
  identity->cgroup_id = bpf_get_current_cgroup_id();
  identity->inode = inode->i_ino;
  identity->dev = inode->i_sb->s_dev;
  identity->ancestor_mask = ancestor_rule_slots ? ancestor_rules(task) : 0;
}

/* Begins to follow the exec under way in `task`, if some rule asks for it. */
static __always_inline struct ss_task_state *begin_exec(struct task_struct *task,
                                                        struct linux_binprm *bprm, __u32 source) {
  struct ss_task_state wanted = {};
  struct exec_identity identity = {};
  const __u64 now = bpf_ktime_get_boot_ns();
  read_identity(task, bprm, &identity);
  struct match_context context = {.identity = &identity, .wanted = &wanted};
  if (!in_never_cgroup()) bpf_loop(rule_slots, match_one_rule, &context, 0);
  if (wanted.watch_mask && !take_budget(&identity, wanted.watch_mask, now))
    __builtin_memset(&wanted, 0, sizeof(wanted));

  /* An image that was still followed ends here, whoever executes over it. */
  struct task_struct *leader = task->group_leader;
  const bool replaces = process_state(leader);
  if (!wanted.watch_mask && !replaces) {
    forget_early_reads(task);
    return 0;
  }
  if (replaces) stop_following(leader);

  struct ss_task_state *state =
      bpf_task_storage_get(&tasks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!state) {
    struct ss_stats *counts = my_stats();
    if (counts) counts->no_task_storage++;
    return 0;
  }
  __builtin_memset(state, 0, sizeof(*state));
  state->role = SS_ROLE_PROCESS;
  state->level = wanted.level;
  state->until_exit = wanted.until_exit;
  state->exact = wanted.exact;
  state->details = wanted.details;
  state->watch_mask = wanted.watch_mask;
  state->comm_pending = wanted.comm_pending;
  state->begin_ns = now;
  state->begin_source = source;
  state->generation = generation;
  state->start_boottime_ns = leader->start_boottime;
  read_counters(task, leader, &state->begin);
  if (state->details & SS_DETAIL_PAGES_READ) emit_early_reads(task, state);
  forget_early_reads(task);
  __sync_fetch_and_add(&tracked_processes, 1);
  return state;
}

/* sched_prepare_exec (6.9 and later): the exec has passed its checks and from here on can only
 * succeed or kill the process. fs/exec.c, begin_new_exec(). */
SEC("tp_btf/sched_prepare_exec")
int BPF_PROG(on_prepare_exec, struct task_struct *task, struct linux_binprm *bprm) {
  if (!rule_slots) return 0;
  begin_exec(task, bprm, SS_BEGIN_PREPARE_EXEC);
  return 0;
}

/* The same moment on kernels before 6.9 that can trace kernel functions. */
SEC("fentry/begin_new_exec")
int BPF_PROG(on_begin_new_exec, struct linux_binprm *bprm) {
  if (!rule_slots) return 0;
  begin_exec(bpf_get_current_task_btf(), bprm, SS_BEGIN_FUNCTION);
  return 0;
}

#define AT_NULL_KEY 0
#define AT_PHDR_KEY 3
#define AT_BASE_KEY 7
#define AT_ENTRY_KEY 9
#define AT_SYSINFO_EHDR_KEY 33
#define AUXV_PAIRS 24

/* True: nothing of what is looked for can follow (fs/binfmt_elf.c, create_elf_tables() writes
 * AT_ENTRY last of them). */
static __always_inline bool take_auxv_pair(__u64 key, __u64 value, struct ss_exec_event *event) {
  switch (key) {
    case AT_PHDR_KEY:
      event->at_phdr = value;
      break;
    case AT_BASE_KEY:
      event->at_base = value;
      break;
    case AT_ENTRY_KEY:
      event->at_entry = value;
      return true;
    case AT_SYSINFO_EHDR_KEY:
      event->vdso_start = value;
      break;
  }
  return key == AT_NULL_KEY;
}

static __always_inline void read_auxv(struct mm_struct *mm, struct ss_exec_event *event) {
  const __u64 *auxv = (void *)mm + bpf_core_field_offset(mm->saved_auxv);
  barrier_var(auxv); /* the array's length differs between kernels: only its begin is relocated */
  /* A 32-bit program's pairs are 32-bit words (fs/compat_binfmt_elf.c): the first one's value,
   * never 0, then stands in the upper half of what would be the first key. */
  if (auxv[0] >> 32) {
#pragma unroll
    for (int i = 0; i < AUXV_PAIRS; i++) {
      const __u64 pair = auxv[i];
      if (take_auxv_pair((__u32)pair, pair >> 32, event)) return;
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < AUXV_PAIRS; i++) {
    if (take_auxv_pair(auxv[2 * i], auxv[2 * i + 1], event)) return;
  }
}

#define PAGE_BYTES 4096ull
#define INTERP_MAX 128
#define ARGV0_MAX 120

/* Fills the tail; returns its length. Offsets are masked so that the verifier sees their bounds. */
static __always_inline __u32 read_names(struct linux_binprm *bprm, struct mm_struct *mm,
                                        struct ss_exec_event *event) {
  const char *filename = bprm->filename;
  const char *interp = bprm->interp;
  __u32 used = 0;
  long length = bpf_probe_read_kernel_str(event->tail, SS_EXEC_FILENAME_MAX, filename);
  if (length > 1) {
    event->filename_len = length - 1;
    if (length >= SS_EXEC_FILENAME_MAX) event->flags |= SS_EXEC_FILENAME_CUT;
    used = length - 1;
  }
  used &= SS_EXEC_FILENAME_MAX - 1;
  if (interp != filename) {
    event->flags |= SS_EXEC_INTERPRETED;
    length = bpf_probe_read_kernel_str(event->tail + used, INTERP_MAX, interp);
    if (length > 1) {
      event->interp_len = length - 1;
      used += (length - 1) & (INTERP_MAX - 1);
    }
  }
  if (used > SS_EXEC_TAIL_MAX - ARGV0_MAX) used = SS_EXEC_TAIL_MAX - ARGV0_MAX;
  length = bpf_probe_read_user_str(event->tail + used, ARGV0_MAX, (void *)mm->arg_start);
  if (length > 1) {
    event->argv0_len = length - 1;
    used += length - 1;
  } else if (length < 0) {
    event->flags |= SS_EXEC_ARGV0_MISSING;
  }
  return used;
}

static __always_inline void fill_exec_event(struct ss_exec_event *event, struct task_struct *task,
                                            struct linux_binprm *bprm,
                                            const struct ss_task_state *state) {
  /* The ring hands out memory with old records in it: nothing of it may leave with this one. */
  __builtin_memset((char *)event + sizeof(event->header), 0,
                   offsetof(struct ss_exec_event, tail) - sizeof(event->header));
  struct mm_struct *mm = task->mm;
  const struct cred *cred = task->cred;
  struct task_struct *parent = task->real_parent->group_leader;
  struct inode *inode = bprm->file->f_inode;
  struct pid *pid = task->thread_pid;
  const __u32 dev = inode->i_sb->s_dev;
  event->begin_boottime_ns = state->begin_ns;
  event->begin = state->begin;
  event->exec_id = task->self_exec_id;
  event->watch_mask = state->watch_mask;
  event->cgroup_id = bpf_get_current_cgroup_id();
  event->parent_tgid = parent->tgid;
  event->parent_start_boottime_ns = parent->start_boottime;
  event->stack_start = mm->start_stack;
  event->brk_start = mm->start_brk;
  event->exe_inode = inode->i_ino;
  event->exe_dev_major = DEV_MAJOR(dev);
  event->exe_dev_minor = DEV_MINOR(dev);
  event->uid = cred->uid.val;
  event->gid = cred->gid.val;
  event->euid = cred->euid.val;
  event->begin_source = state->begin_source;
  if (BPF_CORE_READ_BITFIELD(bprm, secureexec)) event->flags |= SS_EXEC_SECURE;
  event->mnt_ns = task->nsproxy->mnt_ns->ns.inum;
  const unsigned int level = pid->level;
  struct upid number = {};
  bpf_core_read(&number, sizeof(number), &pid->numbers[level & 31]);
  event->pid_in_ns = number.nr;
  __u32 argc = bprm->argc;
  barrier_var(argc); /* or half of it is loaded, which CO-RE does not relocate */
  event->argc = argc;
  bpf_get_current_comm(event->comm, sizeof(event->comm));
  read_auxv(mm, event);
  const __u32 used = read_names(bprm, mm, event);
  event->header.size = offsetof(struct ss_exec_event, tail) + used;
}

/* What is in memory of the arguments, at most `argument_bytes`. They have just been written, so
 * that most often all of it is; a fault is not taken for the rest. */
static __always_inline void read_arguments(struct linux_binprm *bprm, struct mm_struct *mm,
                                           struct ss_exec_arguments *arguments) {
  const __u64 begin = mm->arg_start;
  __u64 wanted = mm->arg_end - begin;
  const __u64 on_first_page = PAGE_BYTES - (begin & (PAGE_BYTES - 1));
  arguments->total_bytes = wanted;
  arguments->argc = bprm->argc;
  arguments->text_len = 0;
  arguments->flags = 0;
  arguments->pad = 0;
  if (wanted > argument_bytes) wanted = argument_bytes;
  if (wanted > SS_ARGUMENTS_MAX) wanted = SS_ARGUMENTS_MAX;
  if (bpf_probe_read_user(arguments->text, wanted, (void *)begin) != 0) {
    arguments->flags = SS_ARGUMENTS_UNREADABLE;
    if (wanted > on_first_page) wanted = on_first_page;
    if (bpf_probe_read_user(arguments->text, wanted, (void *)begin) != 0) return;
  }
  arguments->text_len = wanted;
}

/* While the daemon looks at a file, further starts of it need not wake it. */
#define WAKE_AGAIN_NS 5000000ull

static __always_inline bool must_wake(const struct ss_exec_event *event) {
  struct ss_file_key key = {.inode = event->exe_inode,
                            .dev_major = event->exe_dev_major,
                            .dev_minor = event->exe_dev_minor};
  const __u64 now = event->header.boottime_ns;
  __u64 *woken_ns = bpf_map_lookup_elem(&known_files, &key);
  if (woken_ns) {
    if (*woken_ns == SS_FILE_KNOWN || now < *woken_ns + WAKE_AGAIN_NS) return false;
    *woken_ns = now; /* cannot undo the daemon's answer: that is an element of its own */
    return true;
  }
  bpf_map_update_elem(&known_files, &key, &now, BPF_NOEXIST);
  return true;
}

static __always_inline void emit_exec(struct task_struct *task, struct linux_binprm *bprm,
                                      const struct ss_task_state *state) {
  struct ss_exec_event *event = reserve_event(SS_EVENT_EXEC, sizeof(*event), task, state);
  if (!event) return;
  fill_exec_event(event, task, bprm, state);
  read_counters(task, task, &event->now);
  submit_event(event, must_wake(event));
}

static __always_inline void emit_exec_with_arguments(struct task_struct *task,
                                                     struct linux_binprm *bprm,
                                                     const struct ss_task_state *state) {
  struct ss_exec_event_with_arguments *whole =
      reserve_event(SS_EVENT_EXEC, sizeof(*whole), task, state);
  if (!whole) return;
  struct ss_exec_event *event = &whole->event;
  /* Old records may show in what is unused of the tail: the daemon clears it, daemon/redact. */
  fill_exec_event(event, task, bprm, state);
  read_counters(task, task, &event->now);
  read_arguments(bprm, task->mm, &whole->arguments);
  event->header.size =
      offsetof(struct ss_exec_event_with_arguments, arguments.text) + whole->arguments.text_len;
  submit_event(whole, must_wake(event));
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_process_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm) {
  if (!rule_slots && !tracked_processes) return 0;
  /* By now whoever executes is the leader (fs/exec.c, de_thread()). */
  struct ss_task_state *state = process_state(task);
  if (!has_exec_begin_hook) state = begin_exec(task, bprm, SS_BEGIN_PROCESS_EXEC);
  if (!state) return 0;
  if (state->comm_pending) {
    struct comm_context context = {.state = state};
    bpf_get_current_comm(context.comm, sizeof(context.comm));
    bpf_loop(rule_slots, match_one_comm, &context, 0);
    state->comm_pending = 0;
  }

  if (argument_bytes)
    emit_exec_with_arguments(task, bprm, state);
  else
    emit_exec(task, bprm, state);
  state->executed = 1;
  /* Nobody wants this image; the record only ended the one before. */
  if (!state->watch_mask) stop_following(task);
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_process_fork, struct task_struct *parent, struct task_struct *child) {
  if (!tracked_processes) return 0;
  struct ss_task_state *state = process_state(parent->group_leader);
  if (!state || !state->executed) return 0;
  const bool is_thread = child->tgid == parent->tgid;
  struct ss_fork_event *event = reserve_event(SS_EVENT_FORK, sizeof(*event), parent, state);
  if (event) {
    event->child_tgid = child->tgid;
    event->child_tid = child->pid;
    event->child_start_boottime_ns = child->start_boottime;
    event->flags = is_thread ? SS_FORK_THREAD : 0;
    event->pad = 0;
    submit_event(event, false);
  }
  if (!is_thread) return 0;
  struct ss_task_state *thread =
      bpf_task_storage_get(&tasks, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (thread) {
    thread->role = SS_ROLE_THREAD;
    thread->start_boottime_ns = state->start_boottime_ns;
    thread->level = state->level;
    thread->details = state->details;
  } else {
    struct ss_stats *counts = my_stats();
    if (counts) counts->no_task_storage++;
  }
  return 0;
}

/* Fires for every thread; the last one ends the process (signal->live is already lowered). */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_process_exit, struct task_struct *task) {
  if (!tracked_processes) return 0;
  struct ss_task_state *own = state_of(task);
  struct task_struct *leader = task->group_leader;
  struct ss_task_state *state = 0;
  struct task_struct *holder = task;
  if (own && own->role == SS_ROLE_PROCESS && own->generation == generation && task != leader) {
    state = own; /* died inside exec, before it became the leader */
  } else {
    if (task->signal->live.counter > 0) return 0;
    state = process_state(leader);
    holder = leader;
  }
  if (!state) return 0;
  flush_pages_read(task, state);
  const __u32 kind = state->executed ? SS_EVENT_EXIT : SS_EVENT_EXEC_FAILED;
  struct ss_exit_event *event = reserve_event(kind, sizeof(*event), task, state);
  if (event) {
    event->exec_id = task->self_exec_id;
    event->begin_boottime_ns = state->begin_ns;
    event->exit_code = task->exit_code;
    event->flags = state->executed ? 0 : SS_EXIT_BEFORE_EXEC;
    read_counters(task, leader, &event->now);
    submit_event(event, false);
  }
  stop_following(holder);
  return 0;
}

#endif /* STARTSCOPE_BPF_PROCESS_BPF_H_ */
