// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/inspect/syscall_filter.h"

#include <seccomp.h>
#include <sys/mman.h>

#include <array>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/base/errno_status.h"

namespace startscope {
namespace {

struct AllowedCall {
  int number = 0;
  std::vector<scmp_arg_cmp> conditions;  // all must hold
};

scmp_arg_cmp Equals(unsigned argument, uint64_t value) {
  return {argument, SCMP_CMP_EQ, value, 0};
}
scmp_arg_cmp Masked(unsigned argument, uint64_t mask, uint64_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}

std::vector<AllowedCall> AllowedCalls(int socket) {
  const uint64_t peer = static_cast<uint64_t>(socket);
  return {
      {SCMP_SYS(recvmsg), {Equals(0, peer)}},
      {SCMP_SYS(sendmsg), {Equals(0, peer)}},
      {SCMP_SYS(pread64), {}},
      {SCMP_SYS(close), {}},
      // Memory, by malloc.
      {SCMP_SYS(brk), {}},
      {SCMP_SYS(mmap),
       {Masked(2, PROT_EXEC, 0), Masked(3, MAP_ANONYMOUS, MAP_ANONYMOUS)}},
      {SCMP_SYS(mprotect), {Masked(2, PROT_EXEC, 0)}},
      {SCMP_SYS(mremap), {}},
      {SCMP_SYS(munmap), {}},
      {SCMP_SYS(madvise), {Equals(2, MADV_DONTNEED)}},
      {SCMP_SYS(futex), {}},
      // Where the clock is no vDSO's.
      {SCMP_SYS(clock_gettime), {}},
      {SCMP_SYS(restart_syscall), {}},
      {SCMP_SYS(exit_group), {}},
  };
}

struct ContextRelease {
  void operator()(void* context) const { seccomp_release(context); }
};

absl::Status Failed(int error, const std::string& what) {
  return ErrnoStatus(-error, absl::StrCat("seccomp ", what),
                     "the kernel must offer CONFIG_SECCOMP_FILTER");
}

}  // namespace

absl::StatusOr<size_t> InstallSyscallFilter(int socket) {
  const std::unique_ptr<void, ContextRelease> context(seccomp_init(SCMP_ACT_KILL_PROCESS));
  if (!context) return absl::InternalError("seccomp_init: no memory");
  int error = seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  if (error != 0) return Failed(error, "attribute");
  const std::vector<AllowedCall> calls = AllowedCalls(socket);
  for (const AllowedCall& call : calls) {
    error = seccomp_rule_add_array(context.get(), SCMP_ACT_ALLOW, call.number,
                                   static_cast<unsigned>(call.conditions.size()),
                                   call.conditions.data());
    if (error != 0) return Failed(error, absl::StrCat("rule for system call ", call.number));
  }
  error = seccomp_load(context.get());
  if (error != 0) return Failed(error, "filter");
  return calls.size();
}

}  // namespace startscope
