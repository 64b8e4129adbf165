// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Exits 0 when this kernel lets us use bpf(2), 1 with the reason otherwise.

#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
  union bpf_attr request;
  memset(&request, 0, sizeof(request));
  request.map_type = BPF_MAP_TYPE_ARRAY;
  request.key_size = 4;
  request.value_size = 8;
  request.max_entries = 1;
  if (syscall(SYS_bpf, BPF_MAP_CREATE, &request, sizeof(request)) >= 0) return 0;
  fprintf(stderr, "bpf(BPF_MAP_CREATE): %s\n", strerror(errno));
  return 1;
}
