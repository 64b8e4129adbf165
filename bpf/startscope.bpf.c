// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// SPDX-FileCopyrightText: The startscope authors

// The one BPF object: all probes share one ring buffer and one per-task state.

// clang-format off
#include "state.bpf.h"
#include "process.bpf.h"
#include "fault.bpf.h"
#include "loader.bpf.h"
#include "page_cache.bpf.h"
#include "schedule.bpf.h"
#include "syscall.bpf.h"
// clang-format on

// Records are only ever written through reserved memory, which leaves no trace of their types in BTF;
// an unused constant of them does, so that a test can compare the two sides' layouts.
static const volatile union ss_abi_types {
  struct ss_exec_event exec;
  struct ss_exit_event exit;
  struct ss_fork_event fork;
  struct ss_fault_event fault;
  struct ss_mark_event mark;
  struct ss_pages_read_event pages_read;
  struct ss_wait_event wait;
  struct ss_syscall_event syscall;
  struct ss_sample_event sample;
} ss_abi_types __attribute__((used));

char LICENSE[] SEC("license") = "Dual BSD/GPL";
