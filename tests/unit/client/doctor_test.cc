// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "client/doctor/checks.h"
#include "client/doctor/doctor_text.h"
#include "tests/unit/client/golden_files.h"

namespace startscope {
namespace {

using startscope::v1::GetStatusResponse;
using testing::HasSubstr;
using testing::Not;

Examined WithStatus() {
  Examined examined;
  examined.local.client_version = "0.1.0";
  examined.local.socket_path = "/run/startscope/startscope.sock";
  examined.local.is_socket = true;
  examined.local.socket_mode = 0140660;
  examined.local.socket_group = "startscope";
  examined.local.may_connect = true;
  examined.status = LoadGolden<GetStatusResponse>("doctor");
  return examined;
}

std::string Text(const std::vector<Finding>& findings) {
  return RenderFindings(findings, GoldenWidth(100));
}

TEST(Doctor, TextForm) {
  const std::vector<Finding> findings = CheckAll(WithStatus());
  EXPECT_EQ(WorstOf(findings), Severity::kWarning);
  ExpectGolden("doctor", Text(findings));
  ExpectGolden("doctor_ascii_60", RenderFindings(findings, GoldenAscii(60)));
}

TEST(Doctor, JsonForm) {
  const auto line = FindingsToJson(CheckLosses(WithStatus()));
  ASSERT_TRUE(line.ok());
  EXPECT_THAT(*line, HasSubstr("\"subject\":\"losses: kernel ring\""));
  EXPECT_THAT(*line, HasSubstr("--ring-bytes"));
}

TEST(Doctor, WithoutADaemonNothingCanBeMeasured) {
  Examined examined;
  examined.local.socket_path = "/run/x";
  examined.local.socket_error = ENOENT;
  examined.daemon_error = absl::UnavailableError("no daemon at /run/x");
  const std::vector<Finding> findings = CheckAll(examined);
  EXPECT_EQ(WorstOf(findings), Severity::kEssential);
  EXPECT_THAT(Text(findings), HasSubstr("systemctl start startscoped"));
  EXPECT_THAT(Text(findings), HasSubstr("nothing can be measured"));
}

TEST(Doctor, APrivateDaemonMakesAMissingSocketANote) {
  Examined examined = WithStatus();
  examined.private_daemon = true;
  examined.local.socket_error = ENOENT;
  EXPECT_EQ(WorstOf(CheckSocket(examined)), Severity::kNote);
}

TEST(Doctor, ASocketThatIsClosedToTheCallerNamesItsGroup) {
  Examined examined = WithStatus();
  examined.local.may_connect = false;
  EXPECT_THAT(Text(CheckSocket(examined)), HasSubstr("join the group startscope"));
}

TEST(Doctor, AKernelWithoutBtfIsEssential) {
  Examined examined = WithStatus();
  examined.status->mutable_kernel()->mutable_features(0)->set_available(false);
  EXPECT_EQ(WorstOf(CheckKernel(examined)), Severity::kEssential);
}

TEST(Doctor, AFeatureThatThisClientDoesNotKnowIsToldInTheDaemonsWords) {
  Examined examined = WithStatus();
  auto* feature = examined.status->mutable_kernel()->add_features();
  feature->set_name("telepathy");
  feature->set_detail("needs Linux 9");
  EXPECT_THAT(Text(CheckKernel(examined)), HasSubstr("needs Linux 9"));
}

TEST(Doctor, WhenTheKernelRefusesEveryProgramThatIsEssential) {
  Examined examined = WithStatus();
  for (auto& probe : *examined.status->mutable_probes()) {
    probe.set_state(startscope::v1::PROBE_STATE_UNAVAILABLE);
    probe.clear_detail();
  }
  EXPECT_EQ(WorstOf(CheckProbes(examined)), Severity::kEssential);
}

TEST(Doctor, ALoaderWithSymbolsIsFineAndOneWithoutIsNot) {
  Examined examined = WithStatus();
  EXPECT_THAT(Text(CheckImages(examined)), HasSubstr("libc6-dbg"));
  for (auto& image : *examined.status->mutable_images()) {
    for (auto& site : *image.mutable_sites()) {
      site.set_rung(startscope::v1::BOUNDARY_SOURCE_DEBUG_FILE_UPROBE);
    }
  }
  EXPECT_THAT(Text(CheckImages(examined)), Not(HasSubstr("libc6-dbg")));
}

TEST(Doctor, ADaemonWithoutAnInspectorSaysSo) {
  Examined examined = WithStatus();
  examined.status->clear_inspector();
  EXPECT_EQ(WorstOf(CheckInspector(examined)), Severity::kNote);
}

TEST(Doctor, WhatTheDaemonSaysCannotReachTheTerminal) {
  Examined examined = WithStatus();
  auto& status = *examined.status;
  const std::string evil = "\x1b[2J\u202e\x07";
  status.set_version(evil);
  status.mutable_kernel()->set_release(evil);
  for (auto& image : *status.mutable_images()) image.set_path(evil);
  status.mutable_images(0)->set_error(evil);
  status.mutable_inspector()->add_refused(evil);
  status.mutable_inspector()->set_sandbox(evil);
  examined.local.socket_path = evil;
  const std::vector<Finding> findings = CheckAll(examined);
  const auto json = FindingsToJson(findings);
  ASSERT_TRUE(json.ok());
  for (const std::string& text : {Text(findings), *json}) {
    for (const char* bad : {"\x1b", "\u202e", "\x07"}) EXPECT_EQ(text.find(bad), std::string::npos);
  }
}

}  // namespace
}  // namespace startscope
