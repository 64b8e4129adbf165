// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Startups as text protos in, text as people see it out: see golden_files.h.

#include <gtest/gtest.h>
#include <stdlib.h>

#include "client/render/text_startup.h"
#include "client/render/text_status.h"
#include "client/render/text_timeline.h"
#include "client/render/watch_line.h"
#include "tests/unit/client/golden_files.h"

namespace startscope {
namespace {

class Golden : public testing::TestWithParam<const char*> {};

TEST_P(Golden, TextForm) {
  const auto startup = LoadGolden<startscope::v1::Startup>(GetParam());
  ExpectGolden(GetParam(), RenderStartup(startup, GoldenWidth(100), true));
}

TEST_P(Golden, FitsEveryWidth) {
  const auto startup = LoadGolden<startscope::v1::Startup>(GetParam());
  for (const int width : {60, 72, 80, 84, 100, 120}) {
    auto shortened = startup;
    // A single name or path has no place to break; everything around it must fit.
    shortened.mutable_process()->set_executable("/bin/p");
    shortened.clear_startup_id();
    ExpectNoLineWiderThan(width, RenderStartup(shortened, GoldenWidth(width), false));
  }
}

INSTANTIATE_TEST_SUITE_P(Startups, Golden,
                         testing::Values("glibc_hello", "musl_hello", "static_no_std", "go_service",
                                         "killed", "degraded", "unperturbed", "hostile",
                                         "many_objects", "cold_pages"),
                         [](const auto& info) { return std::string(info.param); });

TEST(GoldenForms, NarrowTerminal) {
  const auto startup = LoadGolden<startscope::v1::Startup>("glibc_hello");
  ExpectGolden("glibc_hello_60", RenderStartup(startup, GoldenWidth(60), false));
}

TEST(GoldenForms, AsciiLocale) {
  const std::string text =
      RenderStartup(LoadGolden<startscope::v1::Startup>("hostile"), GoldenAscii(100), true);
  ExpectGolden("hostile_ascii", text);
  for (const char c : text) EXPECT_LT(static_cast<unsigned char>(c), 0x80u);
}

TEST(GoldenForms, HostileTextCannotReachTheTerminal) {
  const std::string text =
      RenderStartup(LoadGolden<startscope::v1::Startup>("hostile"), GoldenWidth(100), true);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.find("\u202e"), std::string::npos);
}

TEST(GoldenForms, TimelineAndPages) {
  const auto startup = LoadGolden<startscope::v1::Startup>("cold_pages");
  ExpectGolden("cold_pages_timeline", RenderTimeline(startup, GoldenWidth(100)));
  ExpectGolden("cold_pages_pages", RenderPages(startup, GoldenWidth(100)));
  const auto without = LoadGolden<startscope::v1::Startup>("glibc_hello");
  EXPECT_EQ(RenderTimeline(without, GoldenWidth(100)) + RenderPages(without, GoldenWidth(100)), "");
}

TEST(GoldenForms, HostileNamesInATimeline) {
  auto startup = LoadGolden<startscope::v1::Startup>("cold_pages");
  for (auto& entry : *startup.mutable_timeline()) {
    if (entry.has_fault()) {
      entry.mutable_fault()->set_object("/lib/\x1b[31mevil\u202e");
      entry.mutable_fault()->set_symbol("main\x1b]0;title\x07");
    }
  }
  for (auto& object : *startup.mutable_objects()) object.set_path("/lib/\x1b[31mevil\u202e");
  for (auto& total : *startup.mutable_syscalls()->mutable_totals()) total.set_name("read\x1b[2J");
  const std::string text = RenderStartup(startup, GoldenWidth(100), true) +
                           RenderTimeline(startup, GoldenWidth(100)) +
                           RenderPages(startup, GoldenWidth(100));
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.find("\u202e"), std::string::npos);
}

TEST(GoldenForms, LoaderEvent) {
  const auto event = LoadGolden<startscope::v1::LoaderEvent>("loader_event");
  ExpectGolden("loader_event", RenderLoaderEvent(event, GoldenWidth(100)));
  ExpectNoLineWiderThan(80, RenderLoaderEvent(event, GoldenWidth(80)));
}

TEST(GoldenForms, WatchLines) {
  setenv("TZ", "UTC", 1);
  std::string text = WatchHeading(GoldenWidth(100));
  for (const char* name : {"glibc_hello", "killed", "unperturbed", "hostile", "degraded"}) {
    text += WatchLine(LoadGolden<startscope::v1::Startup>(name), GoldenWidth(100));
  }
  ExpectGolden("watch_lines", text);
  ExpectNoLineWiderThan(100, text);
}

TEST(GoldenForms, Status) {
  const auto status = LoadGolden<startscope::v1::GetStatusResponse>("status");
  EXPECT_EQ(UnhealthyReason(status), "");
  ExpectGolden("status", RenderStatus(status, GoldenWidth(100)));
}

TEST(Status, SaysWithWhatPrivilegesTheDaemonRunsAndWhatItLacks) {
  auto status = LoadGolden<startscope::v1::GetStatusResponse>("status");
  const std::string text = RenderStatus(status, GoldenWidth(100));
  EXPECT_NE(text.find("runs as: user 995"), std::string::npos) << text;
  EXPECT_NE(text.find("CAP_PERFMON     lets them read kernel memory"), std::string::npos) << text;
  EXPECT_NE(text.find("CAP_SYS_PTRACE  is missing: opens"), std::string::npos) << text;
  EXPECT_NE(text.find("watches cut: 3"), std::string::npos) << text;
  const std::string evil = "\x1b[2J";
  status.mutable_privileges()->add_reasons("CAP_BPF: " + evil);
  status.mutable_privileges()->set_seccomp(evil);
  status.mutable_losses(0)->set_consequence(evil);
  EXPECT_EQ(RenderStatus(status, GoldenWidth(100)).find('\x1b'), std::string::npos);
}

TEST(Status, EveryLossSaysItsOptionOrThatThereIsNone) {
  const auto status = LoadGolden<startscope::v1::GetStatusResponse>("status");
  const std::string text = RenderStatus(status, GoldenWidth(100));
  EXPECT_NE(text.find("raise with --ring-bytes"), std::string::npos) << text;
  EXPECT_NE(text.find("at all; no option changes it; their startups say"), std::string::npos) << text;
}

TEST(Status, WithoutBtfTheDaemonIsUnhealthy) {
  auto status = LoadGolden<startscope::v1::GetStatusResponse>("status");
  status.mutable_kernel()->mutable_features(0)->set_available(false);
  EXPECT_NE(UnhealthyReason(status), "");
  EXPECT_NE(RenderStatus(status, GoldenWidth(100)).find("unhealthy"), std::string::npos);
}

TEST(Status, WithNoProbeLeftTheDaemonIsUnhealthy) {
  auto status = LoadGolden<startscope::v1::GetStatusResponse>("status");
  for (auto& probe : *status.mutable_probes()) {
    probe.set_state(startscope::v1::PROBE_STATE_UNAVAILABLE);
  }
  EXPECT_NE(UnhealthyReason(status), "");
}

}  // namespace
}  // namespace startscope
