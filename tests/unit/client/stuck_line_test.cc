// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/stuck_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/client/golden_files.h"

namespace startscope {
namespace {

using startscope::v1::StartupStuck;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

StartupStuck InConstructor() {
  StartupStuck stuck;
  stuck.set_startup_id("12-5-1");
  stuck.mutable_process()->set_pid(12);
  stuck.mutable_process()->set_executable("/usr/sbin/nginx");
  stuck.set_phase(startscope::v1::PHASE_CONSTRUCTORS);
  stuck.set_elapsed_ns(9'400'000'000);
  stuck.set_phase_elapsed_ns(9'380'000'000);
  stuck.set_object("/usr/lib/libfoo.so");
  stuck.set_function("_ZN3foo4initEv");
  stuck.set_activity(startscope::v1::STUCK_ACTIVITY_BLOCKED_OTHER);
  stuck.set_wait_channel("futex_wait");
  return stuck;
}

TEST(StuckLine, SaysWhereAndInWhatItIs) {
  EXPECT_EQ(
      StuckText(InConstructor(), 200, GoldenWidth(200)),
      "nginx (pid 12) starting for 9.40 s: 9.38 s in constructors of libfoo.so (foo::init()), "
      "blocked in futex_wait");
  StartupStuck reading = InConstructor();
  reading.clear_object();
  reading.clear_function();
  reading.set_phase(startscope::v1::PHASE_MAIN);
  reading.set_activity(startscope::v1::STUCK_ACTIVITY_BLOCKED_IO);
  reading.set_system_call("read");
  reading.set_file("/var/lib/data");
  EXPECT_EQ(StuckText(reading, 200, GoldenWidth(200)),
            "nginx (pid 12) starting for 9.40 s: 9.38 s in main, blocked on storage in futex_wait, "
            "calling read on /var/lib/data");
}

TEST(StuckLine, SaysNothingThatIsNotKnown) {
  StartupStuck stuck = InConstructor();
  for (auto clear :
       {&StartupStuck::clear_phase, &StartupStuck::clear_object, &StartupStuck::clear_function,
        &StartupStuck::clear_activity, &StartupStuck::clear_wait_channel}) {
    (stuck.*clear)();
  }
  EXPECT_EQ(StuckText(stuck, 200, GoldenWidth(200)), "nginx (pid 12) starting for 9.40 s");
}

TEST(StuckLine, FitsTheTerminalAndIsSafeForIt) {
  StartupStuck stuck = InConstructor();
  stuck.set_object("/lib/\x1b[31m\u202e.so");
  stuck.set_function("\x07");
  stuck.set_wait_channel("\x1b");
  stuck.set_system_call("\x1b");
  stuck.set_file("\x1b\u202e");
  const std::string text = StuckText(stuck, 200, GoldenWidth(200));
  for (const char* bad : {"\x1b", "\u202e", "\x07"}) EXPECT_EQ(text.find(bad), std::string::npos);
  for (const int width : {40, 60, 80}) {
    ExpectNoLineWiderThan(width, StuckLines(GoldenWidth(width)).Next(InConstructor()));
  }
}

TEST(StuckLines, ReplaceTheLastLineOnlyOnATerminalAndOfTheSameStartup) {
  TerminalStyle style = GoldenWidth(100);
  StuckLines plain(style);
  (void)plain.Next(InConstructor());
  EXPECT_THAT(plain.Next(InConstructor()), StartsWith("  … nginx"));
  style.rewritable = true;
  StuckLines lines(style);
  EXPECT_THAT(lines.Next(InConstructor()), Not(HasSubstr("\x1b")));
  EXPECT_THAT(lines.Next(InConstructor()), StartsWith("\x1b[1A"));
  StartupStuck other = InConstructor();
  other.set_startup_id("13-5-1");
  EXPECT_THAT(lines.Next(other), Not(HasSubstr("\x1b")));
  lines.Interrupt();
  EXPECT_THAT(lines.Next(other), Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace startscope
