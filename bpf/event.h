/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 * SPDX-FileCopyrightText: The startscope authors */

/* The kernel/user ABI of startscope: every record that the BPF object puts into its ring buffer, and
 * the configuration it reads. Both sides include this file.
 *
 * Rules: fixed-width integers, explicit padding, no pointers, enums or bools as fields. Kinds are
 * append-only and never renumbered; a record may grow at its end (the decoder accepts
 * size >= minimum of its kind), and SS_ABI_VERSION changes when anything else does.
 * All times are CLOCK_BOOTTIME nanoseconds unless a field says otherwise. */

#ifndef STARTSCOPE_BPF_EVENT_H_
#define STARTSCOPE_BPF_EVENT_H_

#include <linux/types.h>

#define SS_ABI_VERSION 3

enum ss_event_kind {
  SS_EVENT_EXEC = 1,        /* struct ss_exec_event */
  SS_EVENT_EXEC_FAILED = 2, /* struct ss_exit_event: died between point of no return and new image */
  SS_EVENT_EXIT = 3,        /* struct ss_exit_event: the last thread of a tracked process exited */
  SS_EVENT_FORK = 4,        /* struct ss_fork_event: a tracked process made a thread or a child */
  SS_EVENT_FAULT = 5,       /* struct ss_fault_event */
  SS_EVENT_MARK = 6,        /* struct ss_mark_event: a uprobe of ours was reached */
  SS_EVENT_PAGES_READ = 7,  /* struct ss_pages_read_event: file pages came into the page cache */
  SS_EVENT_WAIT = 8,        /* struct ss_wait_event: a thread was off its CPU */
  SS_EVENT_SYSCALL = 9,     /* struct ss_syscall_event: a system call returned */
  SS_EVENT_SAMPLE = 10,     /* struct ss_sample_event: where the CPU was when the clock ticked */
  SS_EVENT_KIND_COUNT = 11,
};

/* start_boottime_ns is the start time of the thread group's leader: with tgid it names a process
 * for as long as the machine is up. */
struct ss_event_header {
  __u16 kind;
  __u16 size; /* of the whole record, header and tail included */
  __u32 cpu;
  __u64 boottime_ns;
  __u32 tgid;
  __u32 tid;
  __u64 start_boottime_ns;
};

/* What the kernel's own accounting says at one moment. Fault counts and bytes read are of the whole
 * thread group (live threads, dead threads, the caller); the scheduler's figures are of the group's
 * leader. Only differences between two snapshots mean anything.
 *
 * off_cpu_ns is sched_info.last_arrival - se.prev_sum_exec_runtime: it stands still while the thread
 * runs and jumps, when it next gets a CPU, by what lay between. (exec_start - sum_exec_runtime does so
 * too, but exec_start is on the CPU's task clock, which lacks stolen and interrupt time and so differs
 * from CPU to CPU: a migration then adds the difference.) Of it d(run_delay) was spent waiting for a
 * CPU. throttled_ns sums, over the leader's cgroup and those above it, the time in which a CPU quota
 * held the group back; other CPUs' share included. */
struct ss_counters {
  __u64 minor_faults;
  __u64 major_faults;
  __u64 off_cpu_ns;
  __u64 run_delay_ns;
  __u64 read_bytes; /* from storage, on this process's account (task_io_accounting) */
  __u64 throttled_ns;
  __u64 voluntary_switches;
  __u32 threads;           /* live threads at this moment */
  __u32 threads_not_read;  /* live threads beyond the bound of the walk: counts are then low */
};

#define SS_COMM_LEN 16
#define SS_EXEC_TAIL_MAX 768
#define SS_EXEC_FILENAME_MAX 512

/* Where the begin of an exec was seen. */
enum ss_exec_begin_source {
  SS_BEGIN_PREPARE_EXEC = 1, /* sched_prepare_exec: the point of no return */
  SS_BEGIN_FUNCTION = 2,     /* entry of begin_new_exec, on kernels without that tracepoint */
  SS_BEGIN_PROCESS_EXEC = 3, /* sched_process_exec only: what came before was not seen */
};

#define SS_EXEC_SECURE 1u        /* AT_SECURE: setuid, setgid or file capabilities took effect */
#define SS_EXEC_INTERPRETED 2u   /* #! or binfmt_misc: interpreter and filename differ */
#define SS_EXEC_FILENAME_CUT 4u
#define SS_EXEC_ARGV0_MISSING 8u /* argv[0] could not be read without a page fault */
#define SS_EXEC_COMPAT 16u       /* 32-bit image */

/* The tail holds filename, interpreter path, then argv[0], without terminators. */
struct ss_exec_event {
  struct ss_event_header header; /* time: sched_process_exec */
  __u64 begin_boottime_ns;
  struct ss_counters begin;
  struct ss_counters now;
  __u64 exec_id;    /* the kernel's per-process exec counter (task_struct.self_exec_id) */
  __u64 watch_mask; /* bit per rule slot that matched; 0: only ends the startup before it */
  __u64 cgroup_id;
  __u64 parent_start_boottime_ns;
  __u64 at_base;    /* load address of the program interpreter, 0 if none */
  __u64 at_entry;   /* entry point of the executable */
  __u64 at_phdr;    /* address of the executable's program headers */
  __u64 stack_start;
  __u64 brk_start;
  __u64 vdso_start;
  __u64 exe_inode;
  __u32 exe_dev_major;
  __u32 exe_dev_minor;
  __u32 parent_tgid;
  __u32 uid;
  __u32 gid;
  __u32 euid;
  __u32 begin_source;
  __u32 flags;
  __u32 mnt_ns;
  __u32 pid_in_ns;
  char comm[SS_COMM_LEN];
  __u16 filename_len;
  __u16 interp_len;
  __u16 argv0_len;
  __u16 argc;
  char tail[SS_EXEC_TAIL_MAX];
};

#define SS_ARGUMENTS_MAX 4096
#define SS_ARGUMENTS_UNREADABLE 1u /* a page was not in memory; what is on it and behind it is missing */

/* Follows a whole ss_exec_event, tail included, while arguments are collected. The environment, which
 * begins where they end, is never read. */
struct ss_exec_arguments {
  __u64 total_bytes; /* of all arguments with their terminators */
  __u32 argc;
  __u32 text_len; /* of text: each argument and its terminator, the last one perhaps cut */
  __u32 flags;
  __u32 pad;
  char text[SS_ARGUMENTS_MAX];
};

struct ss_exec_event_with_arguments {
  struct ss_exec_event event;
  struct ss_exec_arguments arguments;
};

#define SS_EXIT_BEFORE_EXEC 1u /* exec passed its point of no return and then failed */

struct ss_exit_event {
  struct ss_event_header header;
  struct ss_counters now;
  __u64 exec_id;
  __u64 begin_boottime_ns;
  __u32 exit_code; /* as wait4 reports it: status << 8 | signal */
  __u32 flags;
};

#define SS_FORK_THREAD 1u

struct ss_fork_event {
  struct ss_event_header header; /* of the parent */
  __u32 child_tgid;
  __u32 child_tid;
  __u64 child_start_boottime_ns;
  __u32 flags;
  __u32 pad;
};

#define SS_FAULT_COMPLETED 1u /* seen to complete: kind is known, header time is the completion */
#define SS_FAULT_MAJOR 2u
#define SS_FAULT_KERNEL 4u    /* taken in kernel mode (argument copying, clearing of BSS) */
#define SS_FAULT_WRITE 8u
#define SS_FAULT_EXEC 16u     /* instruction fetch */
#define SS_FAULT_ACCESS_KNOWN 32u /* WRITE and EXEC bits were observed, not merely absent */

struct ss_fault_event {
  struct ss_event_header header; /* tid is the thread that faulted */
  __u64 address;
  __u64 ip;
  __u64 entry_boottime_ns; /* 0: the entry was not seen, so latency is unknown */
  __u64 minor_faults;      /* the kernel's count for the process after this fault... */
  __u64 major_faults;      /* ...only if counts_known */
  __u32 flags;
  __u32 counts_known;      /* 1: single-threaded process, so the two counts are exact */
  /* Of the faulting thread, now; as in ss_counters. */
  __u64 off_cpu_ns;
  __u64 run_delay_ns;
  /* From here on only in records of a completed fault. Time inside the fault in which the thread was
   * off its CPU, and how much of that it waited for one; valid if the entry was seen. */
  __u64 fault_off_cpu_ns;
  __u64 fault_run_delay_ns;
  __u64 around_first_page; /* in the file; the window that the kernel mapped around the fault... */
  __u32 around_pages;      /* ...0: none, or not asked for */
  __u32 pad;
};
/* Size of a record of which only the entry was seen. */
#define SS_FAULT_ENTRY_SIZE 96

/* `text_len` bytes follow the struct for SS_MARK_DLOPEN: the name that was asked for. */
struct ss_mark_event {
  struct ss_event_header header;
  struct ss_counters now;
  __u64 cookie; /* given at attach: image number << 8 | SS_COOKIE_ENDS_STARTUP | mark kind */
  __u64 ip;
  __u64 arg0;   /* first integer argument register */
  __u64 word;   /* SS_MARK_DLOPEN: what lies on top of the stack, its caller;
                 * SS_MARK_RELOCATE_OBJECT: what arg0 points to, link_map.l_addr */
  __u32 text_len;
  __u32 arg2;   /* SS_MARK_RELOCATE_OBJECT: third argument; RTLD_LAZY (1): jump slots may wait */
};
#define SS_MARK_TEXT_MAX 256

/* Consecutive pages of one file that this thread brought into the page cache, by a fault, by read(2)
 * or by exec; readahead included (filemap:mm_filemap_add_to_page_cache, in task context). */
struct ss_pages_read_event {
  struct ss_event_header header; /* time: when the run of pages ended */
  __u64 first_boottime_ns;
  __u64 inode;
  __u32 dev_major;
  __u32 dev_minor;
  __u64 first_page;
  __u64 pages;
};

/* Why a thread left its CPU. */
enum ss_wait_reason {
  SS_WAIT_RUNNABLE = 1, /* it could have gone on: preempted, or throttled by a CPU quota */
  SS_WAIT_IO = 2,       /* in_iowait: block I/O */
  SS_WAIT_SLEEP = 3,    /* anything else: a lock, a pipe, a timer, a child */
};

struct ss_wait_event {
  struct ss_event_header header; /* time: back on a CPU */
  __u64 out_boottime_ns;
  __u64 wake_boottime_ns; /* made runnable again; 0: not seen */
  __u32 reason;           /* enum ss_wait_reason */
  __u32 pad;
};

/* `path_len` bytes follow the struct: the path argument of a call that found no such file. */
struct ss_syscall_event {
  struct ss_event_header header; /* time: return */
  __u64 entry_boottime_ns;
  __u64 off_cpu_ns; /* inside the call */
  __s64 result;
  __u64 args[5];
  __u32 number;
  __u32 path_len;
};
#define SS_SYSCALL_PATH_MAX 256

#define SS_SAMPLE_KERNEL 1u
#define SS_SAMPLE_CPUID 2u /* the instruction before ip is CPUID */

struct ss_sample_event {
  struct ss_event_header header;
  __u64 ip;
  __u32 flags;
  __u32 pad;
};

/* One rule of what to track: all fields named in `fields` must match. Rules are OR-ed, decided once
 * at exec. */
#define SS_RULE_UID 1u
#define SS_RULE_CGROUP 2u
#define SS_RULE_TGID 4u
#define SS_RULE_COMM 8u      /* the new image's comm */
#define SS_RULE_EXE 16u      /* device and inode of the executable */
#define SS_RULE_ANCESTOR 32u /* some ancestor is the process `ancestor_tgid` */
#define SS_RULE_PARENT_DEPTH 32

enum ss_level {
  SS_LEVEL_PHASES = 1,    /* counters read at boundaries; entries of user faults */
  SS_LEVEL_OBJECTS = 2,   /* every fault, completed */
};

/* What a watch asks for beside its level. */
#define SS_DETAIL_PAGES_READ 1u    /* records of pages brought into the page cache */
#define SS_DETAIL_FAULT_AROUND 2u  /* the window mapped around each file fault */
#define SS_DETAIL_MAPPING_CALLS 4u /* mmap, munmap, mprotect, mremap, brk as calls */
#define SS_DETAIL_SYSCALLS 8u      /* every system call */
#define SS_DETAIL_WAITS 16u        /* every off-CPU spell with its reason */
#define SS_DETAIL_SAMPLES 32u      /* clock samples */

struct ss_rule {
  __u32 enabled;
  __u32 fields;
  __u32 uid;
  __u32 tgid;
  __u32 ancestor_tgid;
  __u32 level;      /* enum ss_level */
  __u32 until_exit; /* 1: track to exit; 0: stop at main */
  __u32 exe_dev_major;
  __u32 exe_dev_minor;
  __u32 exact; /* 1: marks are wanted, and main may be taken from one */
  __u64 cgroup_id;
  __u64 exe_inode;
  __u32 details; /* SS_DETAIL_* */
  __u32 pad;
  char comm[SS_COMM_LEN];
};
#define SS_RULE_MAX 64
/* Control groups of whose processes nothing is recorded. */
#define SS_NEVER_CGROUPS 16

#define SS_FILE_KNOWN (~0ull)
/* A file by device and inode: key of the map of executables that the daemon knows already. */
struct ss_file_key {
  __u64 inode;
  __u32 dev_major;
  __u32 dev_minor;
};

/* In a cookie: reaching this mark means that main is reached. */
#define SS_COOKIE_ENDS_STARTUP 0x80u

/* Mark kinds: the low seven bits of a cookie. User space gives them their meaning per runtime. */
enum ss_mark_kind {
  SS_MARK_LOADER_ENTRY = 1,       /* first instructions of the program interpreter */
  SS_MARK_DEPENDENCIES_BEGIN = 2, /* glibc RT_ADD; musl __dls3 */
  SS_MARK_RELOCATED = 3,          /* glibc RT_CONSISTENT; musl's call of _dl_debug_state */
  SS_MARK_ENTRY = 4,              /* the executable's entry point */
  SS_MARK_LIBC_START = 5,         /* __libc_start_main */
  SS_MARK_MAIN = 6,               /* the program's own main */
  SS_MARK_GO_SCHEDINIT = 7,
  SS_MARK_GO_RUNTIME_MAIN = 8,
  SS_MARK_RUST_LANG_START = 9,
  SS_MARK_DEPENDENCIES_MAPPED = 10, /* glibc: return from _dl_map_object_deps */
  SS_MARK_SELF_RELOCATED = 11,      /* static-pie glibc: return from _dl_relocate_static_pie */
  SS_MARK_DLOPEN = 12,              /* dlopen, dlmopen: arg0 is the name */
  SS_MARK_DLCLOSE = 13,
  /* Only while a watch asks for functions: */
  SS_MARK_INIT_FUNCTION = 14,   /* a constructor, or an init function of a Go package: ip tells which */
  SS_MARK_RELOCATE_OBJECT = 15, /* glibc _dl_relocate_object: arg0 is the object's link_map */
  SS_MARK_TLS_BEGIN = 16,       /* the loader begins to fill in thread-local storage... */
  SS_MARK_TLS_END = 17,         /* ...and has done so */
  SS_MARK_INIT_END = 18,        /* Go: the runtime's own init functions are over */
  SS_MARK_GO_MAIN_INIT = 19,    /* Go: the program's packages are about to be initialised */
  SS_MARK_RUST_STAGE = 20,      /* Rust: a stage of std::rt::init; ip tells which */
  SS_MARK_KIND_COUNT = 21,
};

/* Per-CPU counters kept by the BPF programs. */
struct ss_stats {
  __u64 produced[16]; /* by ss_event_kind: records put into the ring */
  __u64 dropped[16];  /* by ss_event_kind: records for which the ring had no room */
  __u64 untracked_marks;  /* uprobe hits in processes that are not followed */
  __u64 faults_unpaired;  /* completions whose entry was not seen */
  __u64 no_task_storage;  /* task storage could not be allocated */
  __u64 throttled;        /* execs that a rule wanted and that their control group had no token for */
  __u64 ancestors_not_read; /* execs with more ancestors than are compared with rules */
  __u64 early_reads_cut;    /* files that an exec read before its point of no return, beyond a few */
};

/* What one control group may still begin: value of the map `cgroup_budgets`, by cgroup id. The burst is
 * what the rate allows in SS_BUDGET_BURST_NS. */
struct ss_cgroup_budget {
  __u64 spent_until_ns; /* the moment until which its startups so far use up the rate */
  __u64 throttled;      /* execs not followed */
  __u64 watch_mask;     /* bit per rule slot that wanted one of them */
  __u32 uid;            /* of the last of them */
  __u32 pad;
};
#define SS_BUDGET_BURST_NS 1000000000ull
#define SS_BUDGET_CGROUPS 4096

#ifdef __cplusplus
#define SS_STATIC_ASSERT static_assert
#else
#define SS_STATIC_ASSERT _Static_assert
#endif
SS_STATIC_ASSERT(sizeof(struct ss_event_header) == 32, "ABI");
SS_STATIC_ASSERT(sizeof(struct ss_counters) == 64, "ABI");
SS_STATIC_ASSERT(sizeof(struct ss_exit_event) == 120, "ABI");
SS_STATIC_ASSERT(sizeof(struct ss_fork_event) == 56, "ABI");
SS_STATIC_ASSERT(sizeof(struct ss_fault_event) == 128, "ABI");
SS_STATIC_ASSERT(sizeof(struct ss_mark_event) == 136, "ABI");
SS_STATIC_ASSERT(sizeof(struct ss_rule) == 80, "ABI");
SS_STATIC_ASSERT(sizeof(struct ss_pages_read_event) == 72, "ABI");
SS_STATIC_ASSERT(sizeof(struct ss_wait_event) == 56, "ABI");
SS_STATIC_ASSERT(sizeof(struct ss_syscall_event) == 104, "ABI");
SS_STATIC_ASSERT(sizeof(struct ss_sample_event) == 48, "ABI");
SS_STATIC_ASSERT(sizeof(struct ss_cgroup_budget) == 32, "ABI");
SS_STATIC_ASSERT(sizeof(struct ss_exec_event) == 32 + 8 + 64 + 64 + 11 * 8 + 10 * 4 + 16 + 8 + 768,
                 "ABI");
SS_STATIC_ASSERT(sizeof(struct ss_exec_arguments) == 24 + SS_ARGUMENTS_MAX, "ABI");

#endif /* STARTSCOPE_BPF_EVENT_H_ */
