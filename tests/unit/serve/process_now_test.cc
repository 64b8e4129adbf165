// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// What /proc tells of real children of this test.

#include "daemon/serve/process_now.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <sstream>
#include <string>

namespace startscope {
namespace {

// A child that does one thing until it is killed.
class Child {
 public:
  explicit Child(const std::function<void()>& work) : pid_(fork()) {
    if (pid_ != 0) return;
    work();
    _exit(0);
  }
  ~Child() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  [[nodiscard]] char State() const {
    const std::string text = Stat();
    return text[text.rfind(')') + 2];
  }

  void WaitForState(char state) const {
    while (State() != state) usleep(1000);
  }

  [[nodiscard]] StuckStartup Identity() const {
    std::istringstream fields(Stat().substr(Stat().rfind(')') + 2));
    std::string field;
    for (int i = 3; i <= 22; ++i) fields >> field;
    StuckStartup stuck;
    stuck.process.pid = static_cast<uint32_t>(pid_);
    stuck.process.start_boottime_ns =
        std::stoull(field) * (1'000'000'000 / static_cast<uint64_t>(sysconf(_SC_CLK_TCK))) + 1;
    return stuck;
  }

 private:
  [[nodiscard]] std::string Stat() const {
    std::ifstream file("/proc/" + std::to_string(pid_) + "/stat");
    std::string text;
    std::getline(file, text, '\0');
    return text;
  }

  const pid_t pid_;
};

PeerIdentity Root() { return {.privileged = true}; }

TEST(ProcessNowTest, ReaderOfAPipe) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const Child child([&] {
    char byte;
    [[maybe_unused]] const ssize_t ignored = read(ends[0], &byte, 1);
  });
  child.WaitForState('S');
  StuckStartup stuck = child.Identity();
  DescribeProcessNow(Root(), true, &stuck);
  EXPECT_EQ(stuck.activity, StuckActivity::kBlockedOther);
  EXPECT_EQ(stuck.system_call, "read");
  EXPECT_EQ(stuck.file.rfind("pipe:[", 0), 0u) << stuck.file;
}

TEST(ProcessNowTest, OneThatRunsOrWantsTo) {
  const Child child([] {
    for (;;) {
    }
  });
  child.WaitForState('R');
  StuckStartup stuck = child.Identity();
  DescribeProcessNow(Root(), true, &stuck);
  EXPECT_TRUE(stuck.activity == StuckActivity::kRunning ||
              stuck.activity == StuckActivity::kRunnable);
  EXPECT_EQ(stuck.system_call, "");
  stuck = child.Identity();
  DescribeProcessNow(Root(), false, &stuck);
  EXPECT_EQ(stuck.activity, StuckActivity::kUnspecified);
}

TEST(ProcessNowTest, AStoppedOne) {
  const Child child([] { raise(SIGSTOP); });
  child.WaitForState('T');
  StuckStartup stuck = child.Identity();
  DescribeProcessNow(Root(), true, &stuck);
  EXPECT_EQ(stuck.activity, StuckActivity::kStopped);
}

TEST(ProcessNowTest, AnotherProcessWithItsPidIsNotDescribed) {
  const Child child([] { pause(); });
  child.WaitForState('S');
  StuckStartup stuck = child.Identity();
  stuck.process.start_boottime_ns -= 1'000'000'000;
  DescribeProcessNow(Root(), true, &stuck);
  EXPECT_EQ(stuck.activity, StuckActivity::kUnspecified);
  EXPECT_EQ(stuck.system_call, "");
}

TEST(ProcessNowTest, OneThatIsGone) {
  StuckStartup stuck;
  {
    const Child child([] { pause(); });
    stuck = child.Identity();
  }
  DescribeProcessNow(Root(), true, &stuck);
  EXPECT_EQ(stuck.activity, StuckActivity::kUnspecified);
}

TEST(ProcessNowTest, WhatProcWouldHideFromTheCallerStaysHidden) {
  const Child child([] {
    prctl(PR_SET_NAME, "a) R 1 (b");
    pause();
  });
  child.WaitForState('S');
  PeerIdentity other;
  other.uid = getuid() + 1;
  StuckStartup stuck = child.Identity();
  DescribeProcessNow(other, true, &stuck);
  EXPECT_EQ(stuck.activity, StuckActivity::kBlockedOther);
  EXPECT_EQ(stuck.system_call, "");
  EXPECT_EQ(stuck.wait_channel, "");
  other.uid = getuid();
  DescribeProcessNow(other, true, &stuck);
  EXPECT_EQ(stuck.system_call, "pause");
}

}  // namespace
}  // namespace startscope
