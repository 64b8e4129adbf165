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

TEST(Doctor, CalibrationSaysWhatWasMeasuredOrWhyNot) {
  Examined examined = WithStatus();
  examined.status->mutable_calibration()->set_uprobe_hit_ns(612);
  EXPECT_TRUE(CheckCalibration(examined).empty());
  examined.calibrate = true;
  examined.status->mutable_calibration_took()->set_nanos(250'000'000);
  EXPECT_EQ(CheckCalibration(examined)[0].what, "measured in 250 ms: 612 ns per probe hit");
  examined.status->clear_calibration_took();  // one that does not know the request
  EXPECT_THAT(CheckCalibration(examined)[0].what, HasSubstr("not measured"));
  examined.calibrate_error = absl::ResourceExhaustedError("ask again in 9s");
  EXPECT_THAT(CheckCalibration(examined)[0].what, HasSubstr("ask again in 9s"));
  EXPECT_THAT(CheckCalibration(examined)[0].consequence, HasSubstr("612 ns per probe hit"));
  examined.calibrate = false;
  examined.status->clear_calibration();
  EXPECT_THAT(CheckCalibration(examined)[0].remedy, HasSubstr("--calibrate"));
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

TEST(Doctor, SaysWhatEachCapabilityIsFor) {
  const std::string text = Text(CheckPrivileges(WithStatus()));
  EXPECT_THAT(text, HasSubstr("runs as user 995, group 994"));
  EXPECT_THAT(text, HasSubstr("fine: privilege CAP_BPF: loads BPF programs and attaches them"));
  EXPECT_THAT(text, HasSubstr("warning: privilege CAP_SYS_PTRACE: is missing"));
  EXPECT_THAT(text, HasSubstr("note: privileges: the bounding set is the starter's"));
  EXPECT_THAT(text, HasSubstr("meet: errno"));
}

TEST(Doctor, ACapabilityWithoutAReasonIsNotPassedOver) {
  Examined examined = WithStatus();
  examined.status->mutable_privileges()->add_capabilities("CAP_SYS_BOOT");
  EXPECT_THAT(Text(CheckPrivileges(examined)), HasSubstr("note: privilege CAP_SYS_BOOT"));
}

TEST(Doctor, ADaemonThatIsRootOrUnfilteredIsToldWhatToDo) {
  Examined examined = WithStatus();
  auto& privileges = *examined.status->mutable_privileges();
  privileges.set_uid(0);
  privileges.set_seccomp("off");
  privileges.set_no_new_privileges(false);
  const std::vector<Finding> findings = CheckPrivileges(examined);
  EXPECT_EQ(WorstOf(findings), Severity::kWarning);
  EXPECT_THAT(Text(findings), HasSubstr("--user startscope"));
  EXPECT_THAT(Text(findings), HasSubstr("no_new_privs is not set"));
  EXPECT_THAT(Text(findings), HasSubstr("--seccomp off"));
  examined.private_daemon = true;
  EXPECT_THAT(Text(CheckPrivileges(examined)), Not(HasSubstr("--user startscope")));
}

TEST(Doctor, CutWatchesNameTheirOption) {
  Examined examined = WithStatus();
  EXPECT_EQ(WorstOf(CheckWatches(examined)), Severity::kWarning);
  EXPECT_THAT(Text(CheckWatches(examined)), HasSubstr("--write-timeout"));
  examined.status->set_watches_cut(0);
  EXPECT_EQ(WorstOf(CheckWatches(examined)), Severity::kFine);
}

TEST(Doctor, EveryLossCounterIsMappedToItsOptionWhetherOrNotItCounted) {
  Examined examined = WithStatus();
  for (const bool lost : {false, true}) {
    for (auto& loss : *examined.status->mutable_losses()) loss.set_lost(lost ? 5 : 0);
    const std::vector<Finding> findings = CheckLosses(examined);
    ASSERT_EQ(findings.size(), static_cast<size_t>(examined.status->losses_size()));
    for (size_t i = 0; i < findings.size(); ++i) {
      const auto& loss = examined.status->losses(static_cast<int>(i));
      const std::string text = findings[i].what + findings[i].remedy;
      EXPECT_THAT(text, HasSubstr(loss.knob().empty() ? "no option" : loss.knob()));
      EXPECT_EQ(findings[i].severity, !lost             ? Severity::kFine
                                      : loss.eviction() ? Severity::kNote
                                                        : Severity::kWarning);
      EXPECT_THAT(findings[i].consequence, HasSubstr(lost ? loss.consequence() : ""));
    }
  }
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
  status.mutable_privileges()->set_seccomp(evil);
  status.mutable_privileges()->add_reasons(evil);
  status.mutable_privileges()->add_capabilities(evil);
  for (auto& loss : *status.mutable_losses()) {
    loss.set_name(evil);
    loss.set_knob(evil);
    loss.set_consequence(evil);
  }
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
