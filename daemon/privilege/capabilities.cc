// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/privilege/capabilities.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "daemon/base/errno_status.h"

namespace startscope {
namespace {

// <linux/capability.h>, by number.
constexpr const char* kNames[] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};

constexpr int kFileCapabilities[] = {CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER};

CapabilitySet Join(uint32_t low, uint32_t high) {
  return CapabilitySet(uint64_t{high} << 32 | low);
}

}  // namespace

std::vector<std::string> CapabilitySet::Names() const {
  std::vector<std::string> names;
  for (int i = 0; i < 64; ++i) {
    if (!Has(i)) continue;
    names.push_back(i < static_cast<int>(std::size(kNames)) ? kNames[i] : absl::StrCat("CAP_", i));
  }
  return names;
}

absl::StatusOr<ThreadCapabilities> ReadCapabilities() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) return ErrnoStatus(errno, "capget");
  return ThreadCapabilities{Join(data[0].effective, data[1].effective),
                            Join(data[0].permitted, data[1].permitted),
                            Join(data[0].inheritable, data[1].inheritable)};
}

absl::Status SetCapabilities(const ThreadCapabilities& wanted) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2];
  for (int i = 0; i < 2; ++i) {
    data[i].effective = static_cast<uint32_t>(wanted.effective.bits() >> (32 * i));
    data[i].permitted = static_cast<uint32_t>(wanted.permitted.bits() >> (32 * i));
    data[i].inheritable = static_cast<uint32_t>(wanted.inheritable.bits() >> (32 * i));
  }
  if (syscall(SYS_capset, &header, data) != 0) {
    return ErrnoStatus(
        errno, absl::StrCat("capset to ", wanted.permitted.Names().size(), " capabilities"));
  }
  return absl::OkStatus();
}

ScopedFilePermissions::ScopedFilePermissions() {
  const absl::StatusOr<ThreadCapabilities> now = ReadCapabilities();
  if (!now.ok()) return;
  before_ = *now;
  ThreadCapabilities without = before_;
  for (const int capability : kFileCapabilities) without.effective.Remove(capability);
  in_force_ = SetCapabilities(without).ok();
}

ScopedFilePermissions::~ScopedFilePermissions() {
  if (in_force_) SetCapabilities(before_).IgnoreError();
}

}  // namespace startscope
