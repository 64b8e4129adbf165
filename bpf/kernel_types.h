/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 * SPDX-FileCopyrightText: The startscope authors */

/* The few kernel structures we read, cut down to the members we name. CO-RE relocates every access
 * against the running kernel's BTF, so neither order nor completeness matters here, and the build
 * needs no kernel headers and no BTF of its own. */

#ifndef STARTSCOPE_BPF_KERNEL_TYPES_H_
#define STARTSCOPE_BPF_KERNEL_TYPES_H_

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
  int counter;
} atomic_t;

struct list_head {
  struct list_head *next, *prev;
};

typedef struct {
  __u32 val;
} kuid_t;

typedef struct {
  __u32 val;
} kgid_t;

struct cred {
  kuid_t uid;
  kgid_t gid;
  kuid_t euid;
};

struct super_block {
  __u32 s_dev;
};

struct inode {
  unsigned long i_ino;
  struct super_block *i_sb;
};

struct file {
  struct inode *f_inode;
};

struct address_space {
  struct inode *host;
};

/* Flags of a large folio's second page hold its order. */
struct folio {
  struct address_space *mapping;
  unsigned long index;
  unsigned long _flags_1;
};

struct linux_binprm {
  struct file *file;
  int argc;
  const char *filename;
  const char *interp;
  unsigned int secureexec : 1;
};

struct ns_common {
  unsigned int inum;
};

struct mnt_namespace {
  struct ns_common ns;
};

struct nsproxy {
  struct mnt_namespace *mnt_ns;
};

struct upid {
  int nr;
};

struct pid {
  unsigned int level;
  struct upid numbers[1];
};

struct mm_struct {
  unsigned long start_stack;
  unsigned long start_brk;
  unsigned long arg_start;
  unsigned long arg_end;
  unsigned long saved_auxv[48];
  struct file *exe_file;
};

struct folio___before_6_6 {
  unsigned char _folio_order;
};

enum pageflags {
  PG_head = 1, /* the running kernel's value is asked for */
};

struct task_io_accounting {
  __u64 read_bytes;
};

struct cfs_bandwidth {
  __u64 throttled_time;
};

struct task_group {
  struct task_group *parent;
  struct cfs_bandwidth cfs_bandwidth;
};

struct signal_struct {
  atomic_t live;
  int nr_threads;
  struct list_head thread_head;
  unsigned long min_flt;
  unsigned long maj_flt;
  unsigned long nvcsw;
  struct task_io_accounting ioac;
};

struct sched_entity {
  __u64 prev_sum_exec_runtime;
};

struct sched_info {
  unsigned long long last_arrival;
  unsigned long long run_delay;
};

struct task_struct {
  int pid;
  int tgid;
  int exit_code;
  __u64 start_boottime;
  __u64 self_exec_id;
  unsigned long min_flt;
  unsigned long maj_flt;
  struct task_struct *group_leader;
  struct task_struct *real_parent;
  struct signal_struct *signal;
  struct mm_struct *mm;
  struct nsproxy *nsproxy;
  struct pid *thread_pid;
  const struct cred *cred;
  struct list_head thread_node;
  struct sched_entity se;
  struct sched_info sched_info;
  struct task_io_accounting ioac;
  struct task_group *sched_task_group;
  struct bpf_local_storage *bpf_storage;
  unsigned long nvcsw;
  unsigned int in_iowait : 1;
  unsigned int in_execve : 1;
  char comm[16];
};

struct pt_regs {
  unsigned long r10;
  unsigned long r8;
  unsigned long dx;
  unsigned long si;
  unsigned long di;
  unsigned long orig_ax;
  unsigned long ip;
  unsigned long sp;
};

#pragma clang attribute pop

/* The context of a perf_event program as the verifier presents it: fixed layout, not CO-RE. */
struct ss_user_regs {
  unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs,
      flags, sp, ss;
};

struct ss_perf_context {
  struct ss_user_regs regs;
  __u64 sample_period;
  __u64 addr;
};

#endif /* STARTSCOPE_BPF_KERNEL_TYPES_H_ */
