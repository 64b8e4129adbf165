// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/inspect/sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "daemon/base/errno_status.h"
#include "daemon/inspect/syscall_filter.h"

namespace startscope {
namespace {

// The overflow user and group: own no files.
constexpr uid_t kNobody = 65534;
constexpr int kHighestCapability = 63;

constexpr char kPrivilegeRemedy[] = "the inspector must give up what it has before it reads a file";

struct Namespace {
  int flag = 0;
  const char* name = nullptr;
};
constexpr std::array<Namespace, 5> kNamespaces = {{{CLONE_NEWNS, "mount"},
                                                   {CLONE_NEWNET, "net"},
                                                   {CLONE_NEWIPC, "ipc"},
                                                   {CLONE_NEWUTS, "uts"},
                                                   {CLONE_NEWCGROUP, "cgroup"}}};

struct Account {
  std::vector<std::string> present;
  std::vector<std::string> missing;
};

bool WriteFile(const char* path, const std::string& text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(fd);
  return written;
}

// Without privileges a user namespace gives those that making the others takes.
void EnterUserNamespace(Account* account) {
  const uid_t uid = geteuid();
  const gid_t gid = getegid();
  if (unshare(CLONE_NEWUSER) != 0) {
    account->missing.push_back(absl::StrCat("user namespace (", std::strerror(errno), ")"));
    return;
  }
  WriteFile("/proc/self/setgroups", "deny");
  WriteFile("/proc/self/uid_map", absl::StrCat(kNobody, " ", uid, " 1"));
  WriteFile("/proc/self/gid_map", absl::StrCat(kNobody, " ", gid, " 1"));
  account->present.push_back("user namespace");
}

// An empty, read-only file system over everything; the old ones are let go.
bool EmptyRoot() {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  // /proc is there: the inspector was executed through it.
  if (mount("none", "/proc", "tmpfs", kFlags, "size=4k,nr_inodes=2,mode=0555") != 0) return false;
  if (chdir("/proc") != 0 || syscall(SYS_pivot_root, ".", ".") != 0) return false;
  if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) return false;
  return mount(nullptr, "/", nullptr, MS_REMOUNT | MS_RDONLY | kFlags, nullptr) == 0;
}

void EnterNamespaces(Account* account) {
  std::vector<std::string> names;
  bool own_mounts = false;
  for (const Namespace& one : kNamespaces) {
    if (unshare(one.flag) == 0) {
      names.emplace_back(one.name);
      own_mounts |= one.flag == CLONE_NEWNS;
    } else {
      account->missing.push_back(
          absl::StrCat(one.name, " namespace (", std::strerror(errno), ")"));
    }
  }
  if (!names.empty()) account->present.push_back("namespaces " + absl::StrJoin(names, " "));
  if (!own_mounts) return;
  if (EmptyRoot()) {
    account->present.push_back("empty root directory");
  } else {
    account->missing.push_back(absl::StrCat("empty root directory (", std::strerror(errno), ")"));
  }
}

// Refused without CAP_SETPCAP, when an exec, which will be refused too, could give what is in the
// set; EINVAL where the kernel has fewer.
void DropBoundingSet() {
  for (int capability = 0; capability <= kHighestCapability; ++capability) {
    prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  }
}

absl::Status DropCapabilities() {
  DropBoundingSet();
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const std::array<__user_cap_data_struct, 2> none{};
  if (syscall(SYS_capset, &header, none.data()) != 0) {
    return ErrnoStatus(errno, "capset", kPrivilegeRemedy);
  }
  return absl::OkStatus();
}

absl::Status BecomeNobody() {
  if (setgroups(0, nullptr) != 0 || setresgid(kNobody, kNobody, kNobody) != 0 ||
      setresuid(kNobody, kNobody, kNobody) != 0) {
    return ErrnoStatus(errno, "becoming user 65534",
                       "give the daemon CAP_SETUID and CAP_SETGID, which it needs for this");
  }
  return absl::OkStatus();
}

absl::Status SetLimits(const SandboxLimits& limits) {
  struct Limit {
    __rlimit_resource resource;
    const char* name;
    uint64_t value;
  };
  const Limit wanted[] = {
      {RLIMIT_AS, "RLIMIT_AS", limits.memory_bytes},
      {RLIMIT_CPU, "RLIMIT_CPU", limits.cpu_seconds},
      {RLIMIT_NOFILE, "RLIMIT_NOFILE", limits.descriptors},
      {RLIMIT_NPROC, "RLIMIT_NPROC", 0},
      {RLIMIT_FSIZE, "RLIMIT_FSIZE", 0},
      {RLIMIT_CORE, "RLIMIT_CORE", 0},
      {RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK", 0},
      {RLIMIT_MSGQUEUE, "RLIMIT_MSGQUEUE", 0},
  };
  for (const Limit& limit : wanted) {
    // What is lower already cannot be raised, and need not be.
    rlimit now{};
    getrlimit(limit.resource, &now);
    const rlim_t value = std::min<rlim_t>(limit.value, now.rlim_max);
    const rlimit both = {value, value};
    if (setrlimit(limit.resource, &both) != 0) {
      return ErrnoStatus(errno, limit.name, kPrivilegeRemedy);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> EnterSandbox(int socket, const SandboxLimits& limits) {
  Account account;
  // Of all processes this one is missed least.
  WriteFile("/proc/self/oom_score_adj", "1000");
  const bool root = geteuid() == 0;
  if (!root) EnterUserNamespace(&account);
  EnterNamespaces(&account);
  DropBoundingSet();
  if (root) {
    SS_RETURN_IF_ERROR(BecomeNobody());
    EnterUserNamespace(&account);
    account.present.insert(account.present.begin(), "uid 65534");
  }
  SS_RETURN_IF_ERROR(DropCapabilities());
  SS_RETURN_IF_ERROR(SetLimits(limits));
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return ErrnoStatus(errno, "PR_SET_DUMPABLE");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return ErrnoStatus(errno, "PR_SET_NO_NEW_PRIVS");
  SS_ASSIGN_OR_RETURN(const size_t calls, InstallSyscallFilter(socket));
  std::string text = absl::StrCat("no capabilities, no_new_privs, seccomp allow-list of ", calls,
                                  " system calls, address space of ", limits.memory_bytes >> 20,
                                  " MiB, ", limits.cpu_seconds, " s of CPU, no processes, no files");
  if (!account.present.empty()) absl::StrAppend(&text, ", ", absl::StrJoin(account.present, ", "));
  if (!account.missing.empty()) {
    absl::StrAppend(&text, "; missing: ", absl::StrJoin(account.missing, ", "));
  }
  return text;
}

}  // namespace startscope
