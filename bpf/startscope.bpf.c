// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// SPDX-FileCopyrightText: The startscope authors

// The one BPF object: all probes share one ring buffer and one per-task state.

// clang-format off
#include "state.bpf.h"
#include "process.bpf.h"
#include "fault.bpf.h"
#include "loader.bpf.h"
// clang-format on

char LICENSE[] SEC("license") = "Dual BSD/GPL";
