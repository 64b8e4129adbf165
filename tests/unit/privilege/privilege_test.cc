// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// What changes a process for good is tried in a child of its own.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/privilege/capabilities.h"
#include "daemon/privilege/privilege_drop.h"
#include "daemon/privilege/service_notifier.h"
#include "daemon/privilege/syscall_filter.h"

namespace startscope {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The wait status of a child that runs `body` and exits with what it gives.
int InChild(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

std::vector<std::string> NamesOf(const std::vector<NeededCapability>& needed) {
  std::vector<std::string> names;
  for (const NeededCapability& one : needed) {
    CapabilitySet set;
    set.Add(one.capability);
    names.push_back(set.Names().front());
  }
  return names;
}

TEST(NeededCapabilitiesTest, FourSufficeWhereTheKernelAllows) {
  EXPECT_THAT(NamesOf(NeededCapabilities({}, 2, false)),
              ElementsAre("CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"));
}

TEST(NeededCapabilitiesTest, SysAdminIsKeptOnlyWithItsReason) {
  const auto paranoid = NeededCapabilities({}, 3, false);
  ASSERT_EQ(paranoid.size(), 5u);
  EXPECT_EQ(paranoid.back().capability, CAP_SYS_ADMIN);
  EXPECT_THAT(paranoid.back().reason, HasSubstr("perf_event_paranoid is 3"));
  PrivilegePlan old_kernel;
  old_kernel.perf_uprobes = true;
  EXPECT_THAT(NeededCapabilities(old_kernel, 2, false).back().reason, HasSubstr("uprobe_multi"));
}

TEST(NeededCapabilitiesTest, ARecordingNeedsNone) {
  PrivilegePlan plan;
  plan.traces = false;
  EXPECT_TRUE(NeededCapabilities(plan, 3, true).empty());
}

TEST(CheckMayTraceTest, NamesWhatIsMissing) {
  CapabilitySet half;
  half.Add(CAP_BPF);
  const absl::Status refused = CheckMayTrace(half);
  EXPECT_EQ(refused.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("has not: CAP_PERFMON (run as root"));
  half.Add(CAP_PERFMON);
  EXPECT_TRUE(CheckMayTrace(half).ok());
}

TEST(CapabilitySetTest, NamesWhatItHas) {
  CapabilitySet set;
  set.Add(CAP_CHOWN);
  set.Add(CAP_BPF);
  set.Add(63);
  EXPECT_THAT(set.Names(), ElementsAre("CAP_CHOWN", "CAP_BPF", "CAP_63"));
}

TEST(DropPrivilegesTest, LeavesNothingAPlanDoesNotName) {
  const int status = InChild([] {
    PrivilegePlan plan;
    plan.traces = false;
    const auto report = DropPrivileges(plan);
    if (!report.ok() || !report->capabilities.empty()) return 1;
    const auto now = ReadCapabilities();
    if (!now.ok() || !now->permitted.empty() || !now->effective.empty()) return 2;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 3;
    if (prctl(PR_GET_DUMPABLE) != 0) return 4;
    return 0;
  });
  EXPECT_EQ(status, 0);
}

TEST(DropPrivilegesTest, AnUnknownUserIsNamed) {
  const auto account = FindAccount("no-such-user-here");
  EXPECT_EQ(account.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(account.status().message()), HasSubstr("no-such-user-here"));
}

// Runs `body` behind the filter.
int Filtered(FilterAction action, const std::function<int()>& body) {
  return InChild([&] {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (!InstallSyscallFilter(action, /*keeps_root=*/false).ok()) return 100;
    return body();
  });
}

TEST(SyscallFilterTest, RefusesWhatTheDaemonNeverDoes) {
  const int status = Filtered(FilterAction::kErrno, [] {
    const auto refused = [](long result) { return result == -1 && errno == EPERM; };
    if (!refused(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr))) return 1;
    if (!refused(mount("none", "/", "tmpfs", 0, nullptr))) return 2;
    if (!refused(chmod("/dev/null", 0666))) return 3;
    char* const arguments[] = {nullptr};
    if (!refused(execve("/bin/true", arguments, arguments))) return 4;
    if (!refused(unshare(CLONE_NEWUSER))) return 5;
    if (!refused(setuid(getuid()))) return 6;
    if (socket(AF_INET, SOCK_STREAM, 0) != -1 || errno != EAFNOSUPPORT) return 7;
    return 0;
  });
  EXPECT_EQ(status, 0);
}

TEST(SyscallFilterTest, LetsThreadsUnixSocketsAndADescriptorsProgramPass) {
  const int status = Filtered(FilterAction::kKill, [] {
    std::thread([] {}).join();
    if (socket(AF_UNIX, SOCK_STREAM, 0) < 0) return 1;
    const int program = open("/bin/true", O_RDONLY | O_CLOEXEC);
    if (program < 0) return 2;
    char name[] = "true";
    char* const arguments[] = {name, nullptr};
    fexecve(program, arguments, environ);
    return 3;
  });
  EXPECT_EQ(status, 0);
}

TEST(SyscallFilterTest, KillsWhenTold) {
  const int status = Filtered(FilterAction::kKill, [] {
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    return 0;
  });
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGSYS);
}

TEST(SyscallFilterTest, KnowsItsActions) {
  EXPECT_EQ(*ParseFilterAction("kill"), FilterAction::kKill);
  EXPECT_EQ(ParseFilterAction("maybe").status().code(), absl::StatusCode::kInvalidArgument);
}

// A service manager's end of the protocol.
class NotifierTest : public ::testing::Test {
 protected:
  NotifierTest() : manager_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    name_ = absl::StrCat("@startscope-test-", getpid());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name_.copy(address.sun_path, name_.size());
    address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size());
    EXPECT_EQ(bind(manager_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    setenv("NOTIFY_SOCKET", name_.c_str(), 1);
  }
  ~NotifierTest() override {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) unsetenv(name);
  }
  std::string Receive() {
    char text[256];
    const ssize_t size = recv(manager_.get(), text, sizeof(text), MSG_DONTWAIT);
    return size < 0 ? "" : std::string(text, static_cast<size_t>(size));
  }

  std::string name_;
  UniqueFd manager_;
};

TEST_F(NotifierTest, TellsReadinessLifeAndEnd) {
  setenv("WATCHDOG_USEC", "3000000", 1);
  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  auto notifier = ServiceNotifier::FromEnvironment();
  ASSERT_TRUE(notifier.ok()) << notifier.status();
  EXPECT_EQ(notifier->watchdog(), absl::Seconds(3));
  EXPECT_EQ(getenv("NOTIFY_SOCKET"), nullptr);
  notifier->Ready("fine");
  EXPECT_EQ(Receive(), "READY=1\nSTATUS=fine");
  notifier->Alive();
  EXPECT_EQ(Receive(), "WATCHDOG=1");
  notifier->Stopping();
  EXPECT_EQ(Receive(), "STOPPING=1");
}

TEST_F(NotifierTest, AnothersWatchdogIsNotOurs) {
  setenv("WATCHDOG_USEC", "3000000", 1);
  setenv("WATCHDOG_PID", "1", 1);
  auto notifier = ServiceNotifier::FromEnvironment();
  ASSERT_TRUE(notifier.ok());
  EXPECT_FALSE(notifier->watchdog());
}

TEST_F(NotifierTest, WithoutAManagerNothingIsSaid) {
  unsetenv("NOTIFY_SOCKET");
  auto notifier = ServiceNotifier::FromEnvironment();
  ASSERT_TRUE(notifier.ok());
  notifier->Ready("fine");
  EXPECT_EQ(Receive(), "");
}

TEST_F(NotifierTest, AMalformedAddressIsNamed) {
  setenv("NOTIFY_SOCKET", "relative", 1);
  const auto notifier = ServiceNotifier::FromEnvironment();
  EXPECT_EQ(notifier.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(notifier.status().message()), HasSubstr("relative"));
}

}  // namespace
}  // namespace startscope
