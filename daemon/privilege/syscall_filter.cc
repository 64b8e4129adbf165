// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/privilege/syscall_filter.h"

#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>

#include "absl/strings/str_cat.h"
#include "daemon/base/errno_status.h"

namespace startscope {
namespace {

// By name: what a kernel or library does not know is no harm to refuse.
constexpr const char* kRefused[] = {
    // Other processes and the kernel itself.
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "kcmp",
    "pidfd_getfd",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "reboot",
    "syslog",
    "iopl",
    "ioperm",
    "modify_ldt",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "personality",
    "add_key",
    "keyctl",
    "request_key",
    "acct",
    "swapon",
    "swapoff",
    "quotactl",
    "quotactl_fd",
    "fanotify_init",
    "lookup_dcookie",
    "vhangup",
    // Clocks and names of the machine.
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
    "sethostname",
    "setdomainname",
    // Mounts, roots, namespaces.
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "move_mount",
    "open_tree",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "setns",
    "unshare",
    // With CAP_DAC_READ_SEARCH a handle opens any file, outside every root.
    "open_by_handle_at",
    "name_to_handle_at",
    // Identities.
    "setuid",
    "setgid",
    "setreuid",
    "setregid",
    "setresuid",
    "setresgid",
    "setgroups",
    // Files: the daemon creates its socket before, and a recording with its mode.
    "chmod",
    "fchmod",
    "fchmodat",
    "chown",
    "fchown",
    "lchown",
    "fchownat",
    "mknod",
    "mknodat",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "rename",
    "renameat",
    "renameat2",
    "truncate",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "removexattr",
    "lremovexattr",
    "fremovexattr",
    // fexecve is what is left.
    "execve",
};

constexpr uint64_t kNamespaceFlags = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                     CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

struct Release {
  void operator()(void* context) const { seccomp_release(context); }
};

// The first failure of many calls.
class Rules {
 public:
  explicit Rules(scmp_filter_ctx context) : context_(context) {}

  template <typename... Conditions>
  void Refuse(uint32_t action, const char* name, Conditions... conditions) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR || error_ != 0) return;
    // -EDOM: not a call of this architecture.
    const int error =
        seccomp_rule_add(context_, action, number, sizeof...(conditions), conditions...);
    if (error != 0 && error != -EDOM) error_ = -error;
  }
  [[nodiscard]] int error() const { return error_; }

 private:
  scmp_filter_ctx context_;
  int error_ = 0;
};

}  // namespace

absl::StatusOr<FilterAction> ParseFilterAction(const std::string& text) {
  if (text == "off") return FilterAction::kOff;
  if (text == "errno") return FilterAction::kErrno;
  if (text == "kill") return FilterAction::kKill;
  return absl::InvalidArgumentError(
      absl::StrCat("--seccomp ", text, ": must be errno, kill or off"));
}

absl::Status InstallSyscallFilter(FilterAction action, bool keeps_root) {
  if (action == FilterAction::kOff) return absl::OkStatus();
  const std::unique_ptr<void, Release> filter(seccomp_init(SCMP_ACT_ALLOW));
  if (!filter) return absl::InternalError("seccomp_init failed");
  const uint32_t refuse =
      action == FilterAction::kKill ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM);
  Rules rules(filter.get());
  for (const char* name : kRefused) rules.Refuse(refuse, name);
  rules.Refuse(refuse, "execveat", SCMP_A4(SCMP_CMP_NE, AT_EMPTY_PATH));
  // Libraries look for other families and do without: that alone must not end anybody.
  rules.Refuse(SCMP_ACT_ERRNO(EAFNOSUPPORT), "socket", SCMP_A0(SCMP_CMP_NE, AF_UNIX));
  // A filter cannot look into clone3's structure; glibc falls back to clone.
  rules.Refuse(SCMP_ACT_ERRNO(ENOSYS), "clone3");
  for (uint64_t flag = 1; flag != 0; flag <<= 1) {
    if ((kNamespaceFlags & flag) == 0) continue;
    rules.Refuse(refuse, "clone", SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
  }
  if (!keeps_root) {
    rules.Refuse(refuse, "setfsuid", SCMP_A0(SCMP_CMP_EQ, 0));
    rules.Refuse(refuse, "setfsgid", SCMP_A0(SCMP_CMP_EQ, 0));
  }
  int error = rules.error();
  if (error == 0) error = -seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_NNP, 0);
  // A binary search over the numbers rather than a walk: every call of the daemon pays for it.
  if (error == 0) error = -seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  if (error == 0) error = -seccomp_load(filter.get());
  if (error != 0) {
    return ErrnoStatus(error, "the system call filter",
                       "the kernel needs CONFIG_SECCOMP_FILTER; --seccomp off does without");
  }
  return absl::OkStatus();
}

}  // namespace startscope
