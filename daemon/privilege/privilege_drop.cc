// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/privilege/privilege_drop.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "daemon/base/errno_status.h"

namespace startscope {
namespace {

constexpr int kLastPossibleCapability = 63;
// From this value on Debian's and Android's kernels let nobody but CAP_SYS_ADMIN open perf events.
constexpr int kParanoidNeedsAdmin = 3;

CapabilitySet SetOf(const std::vector<NeededCapability>& needed) {
  CapabilitySet set;
  for (const NeededCapability& one : needed) set.Add(one.capability);
  return set;
}

// Needs CAP_SETPCAP; says whether everything is gone.
bool EmptyBoundingSet() {
  bool emptied = true;
  for (int i = 0; i <= kLastPossibleCapability; ++i) {
    // EINVAL beyond the last capability that this kernel knows.
    if (prctl(PR_CAPBSET_READ, i) != 1) continue;
    emptied &= prctl(PR_CAPBSET_DROP, i) == 0;
  }
  return emptied;
}

absl::Status BecomeAccount(const Account& account) {
  if (geteuid() == account.uid && getegid() == account.gid) return absl::OkStatus();
  const char* remedy = "--user needs a start as root";
  if (prctl(PR_SET_KEEPCAPS, 1) != 0) return ErrnoStatus(errno, "PR_SET_KEEPCAPS");
  if (setgroups(1, &account.gid) != 0) return ErrnoStatus(errno, "setgroups", remedy);
  if (setresgid(account.gid, account.gid, account.gid) != 0) {
    return ErrnoStatus(errno, absl::StrCat("setresgid ", account.gid), remedy);
  }
  if (setresuid(account.uid, account.uid, account.uid) != 0) {
    return ErrnoStatus(errno, absl::StrCat("setresuid ", account.uid), remedy);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Account> FindAccount(const std::string& user) {
  passwd entry{};
  passwd* found = nullptr;
  char buffer[4096];
  if (getpwnam_r(user.c_str(), &entry, buffer, sizeof(buffer), &found) != 0 || found == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("--user ", user,
                     ": there is no such user (systemd-sysusers creates it from "
                     "deploy/systemd/sysusers.conf)"));
  }
  return Account{found->pw_uid, found->pw_gid};
}

int PerfEventParanoid() {
  int value = 0;
  FILE* file = std::fopen("/proc/sys/kernel/perf_event_paranoid", "re");
  if (file == nullptr) return value;
  if (std::fscanf(file, "%d", &value) != 1) value = 0;
  std::fclose(file);
  return value;
}

std::vector<NeededCapability> NeededCapabilities(const PrivilegePlan& plan, int perf_event_paranoid,
                                                 bool stays_root) {
  if (!plan.traces) return {};
  std::vector<NeededCapability> needed = {
      {CAP_BPF, "loads BPF programs and attaches them"},
      {CAP_PERFMON, "lets them read kernel memory; opens perf events"},
      {CAP_SYS_PTRACE, "opens /proc/PID/exe and /proc/PID/root of any process"},
      {CAP_DAC_READ_SEARCH, "reads the files that others execute"},
  };
  if (stays_root) {
    needed.push_back({CAP_SETUID, "opens what a client names with the client's own rights"});
    needed.push_back({CAP_SETGID, "opens what a client names with the client's own rights"});
  }
  if (perf_event_paranoid >= kParanoidNeedsAdmin) {
    needed.push_back({CAP_SYS_ADMIN,
                      absl::StrCat("kernel.perf_event_paranoid is ", perf_event_paranoid,
                                   ": page-fault and mapping events ask for it (with 2 or less it "
                                   "is given up)")});
  }
  if (plan.perf_uprobes) {
    needed.push_back({CAP_SYS_ADMIN,
                      "this kernel has no uprobe_multi links (Linux 6.6): uprobes through "
                      "perf_event_open ask for it"});
  }
  return needed;
}

absl::Status CheckMayTrace(CapabilitySet permitted) {
  CapabilitySet indispensable;
  indispensable.Add(CAP_BPF);
  indispensable.Add(CAP_PERFMON);
  const CapabilitySet missing = indispensable - permitted;
  if (missing.empty()) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("tracing needs capabilities that this process has not: ",
                   absl::StrJoin(missing.Names(), ", "),
                   " (run as root, or with CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and "
                   "CAP_DAC_READ_SEARCH)"));
}

absl::StatusOr<PrivilegeReport> DropPrivileges(const PrivilegePlan& plan) {
  absl::StatusOr<ThreadCapabilities> before = ReadCapabilities();
  if (!before.ok()) return before.status();
  const uid_t uid = plan.account ? plan.account->uid : geteuid();
  const std::vector<NeededCapability> needed =
      NeededCapabilities(plan, PerfEventParanoid(), uid == 0);
  const CapabilitySet wanted = SetOf(needed);
  const CapabilitySet kept = wanted & before->permitted;

  PrivilegeReport report;
  const bool bounded = EmptyBoundingSet();
  if (plan.account) SS_RETURN_IF_ERROR(BecomeAccount(*plan.account));
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  SS_RETURN_IF_ERROR(SetCapabilities({kept, kept, CapabilitySet()}));
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return ErrnoStatus(errno, "PR_SET_NO_NEW_PRIVS");
  if (prctl(PR_SET_DUMPABLE, 0) != 0) return ErrnoStatus(errno, "PR_SET_DUMPABLE");

  report.uid = geteuid();
  report.gid = getegid();
  report.no_new_privileges = true;
  report.capabilities = kept.Names();
  for (const NeededCapability& one : needed) {
    const std::string name = [&] {
      CapabilitySet single;
      single.Add(one.capability);
      return single.Names().front();
    }();
    report.reasons.push_back(
        absl::StrCat(name, kept.Has(one.capability) ? ": " : " is missing: ", one.reason));
  }
  if (!bounded) {
    report.reasons.push_back(
        "the bounding set is the starter's: emptying it needs CAP_SETPCAP; nothing can be gained "
        "from it, since no_new_privs is set");
  }
  return report;
}

}  // namespace startscope
