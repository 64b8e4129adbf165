// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/startup_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <regex>

#include "client/export/enum_label.h"
#include "client/export/metrics_server.h"
#include "tests/unit/export/test_startups.h"

namespace startscope {
namespace {

using namespace startscope::v1;  // NOLINT: message types and enumerators
using ::testing::HasSubstr;
using ::testing::Not;

class StartupMetricsTest : public ::testing::Test {
 protected:
  std::string Scrape() { return ScrapeText({&registry_}); }

  prometheus::Registry registry_;
  StartupMetrics metrics_{registry_, "1.2.3"};
};

TEST_F(StartupMetricsTest, AReachedStartupIsInTheHistogramsInSeconds) {
  metrics_.Observe(TestStartup("/bin/a"));
  const std::string text = Scrape();
  EXPECT_THAT(text, HasSubstr("startscope_startup_duration_seconds_sum{language=\"c_or_cpp\",libc="
                              "\"glibc\"} 0.004"));
  EXPECT_THAT(text, HasSubstr("startscope_startup_phase_duration_seconds_sum{phase=\"relocation\"} "
                              "0.003"));
  EXPECT_THAT(text, HasSubstr("startscope_startups_total{outcome=\"reached\"} 1\n"));
}

TEST_F(StartupMetricsTest, AStartupThatFellShortIsCountedAndInNoHistogram) {
  Startup startup = TestStartup("/bin/a");
  startup.set_outcome(OUTCOME_KILLED);
  metrics_.Observe(startup);
  const std::string text = Scrape();
  EXPECT_THAT(text, HasSubstr("startscope_startups_total{outcome=\"killed\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("duration_seconds_sum")));
}

TEST_F(StartupMetricsTest, FaultsAreCountedByKindAndPhase) {
  metrics_.Observe(TestStartup("/bin/a"));
  metrics_.Observe(TestStartup("/bin/b"));
  const std::string text = Scrape();
  EXPECT_THAT(text,
              HasSubstr("startscope_page_faults_total{kind=\"minor\",phase=\"kernel_exec\"} 14\n"));
  EXPECT_THAT(text,
              HasSubstr("startscope_page_faults_total{kind=\"major\",phase=\"kernel_exec\"} 2\n"));
}

TEST_F(StartupMetricsTest, WhatWasNotMeasuredIsAbsent) {
  metrics_.Observe(TestStartup("/bin/a"));
  EXPECT_THAT(Scrape(), Not(HasSubstr("storage_read_bytes_total ")));
  Startup startup = TestStartup("/bin/a");
  startup.mutable_storage()->set_bytes(0);
  metrics_.Observe(startup);
  EXPECT_THAT(Scrape(), HasSubstr("startscope_startup_storage_read_bytes_total 0\n"));
}

TEST_F(StartupMetricsTest, NoProgramNameOrArgumentIsInTheText) {
  Startup startup = TestStartup("/opt/secret-tool");
  startup.mutable_process()->add_argv("--password=hunter2");
  metrics_.Observe(startup);
  EXPECT_THAT(Scrape(), Not(HasSubstr("secret-tool")));
  EXPECT_THAT(Scrape(), Not(HasSubstr("hunter2")));
}

TEST_F(StartupMetricsTest, LossOfTheStreamIsCountedByStage) {
  WatchStartupsResponse message;
  message.mutable_records_lost()->set_stage(LOSS_STAGE_SUBSCRIBER);
  message.mutable_records_lost()->set_count(12);
  metrics_.Observe(message);
  EXPECT_THAT(Scrape(), HasSubstr("startscope_watch_lost_total{stage=\"subscriber\"} 12\n"));
}

TEST_F(StartupMetricsTest, NoStartupMakesMoreSeriesThanTheDocumentsSay) {
  for (int libc = Libc_MIN; libc <= Libc_MAX; ++libc) {
    for (int language = Language_MIN; language <= Language_MAX; ++language) {
      Startup startup = TestStartup("/bin/a");
      startup.mutable_runtime()->set_libc(static_cast<Libc>(libc));
      startup.mutable_runtime()->set_language(static_cast<Language>(language));
      for (int phase = Phase_MIN; phase <= Phase_MAX; ++phase) {
        PhaseSlice& slice = *startup.add_phases();
        slice.set_phase(static_cast<Phase>(phase));
        slice.set_minor_faults(1);
        slice.set_major_faults(1);
      }
      for (int reason = TimeReason_MIN; reason <= TimeReason_MAX; ++reason) {
        startup.add_blame()->set_reason(static_cast<TimeReason>(reason));
      }
      for (int kind = ObjectKind_MIN; kind <= ObjectKind_MAX; ++kind) {
        startup.add_objects()->set_kind(static_cast<ObjectKind>(kind));
      }
      for (int kind = DegradationKind_MIN; kind <= DegradationKind_MAX; ++kind) {
        startup.add_degradations()->set_kind(static_cast<DegradationKind>(kind));
      }
      metrics_.Observe(startup);
    }
  }
  // Of values that this program does not know there may be any number.
  for (int value = 100; value < 200; ++value) {
    Startup startup = TestStartup("/bin/a");
    startup.mutable_runtime()->set_libc(static_cast<Libc>(value));
    startup.mutable_phases(0)->set_phase(static_cast<Phase>(value));
    startup.set_outcome(static_cast<Outcome>(value));
    metrics_.Observe(startup);
  }
  const std::string text = Scrape();
  size_t series = 0;
  for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) series += text[at] != '#';
  EXPECT_LE(series, 900u);
  EXPECT_LE(text.size(), 128u * 1024);
}

TEST_F(StartupMetricsTest, TheRulesThatAreShippedAskForSeriesThatThereAre) {
  metrics_.Observe(TestStartup("/bin/a"));
  const std::string text = Scrape();
  std::ifstream file(RULES_FILE);
  const std::string rules(std::istreambuf_iterator<char>(file), {});
  // What rules record begins with a level and a colon.
  const std::regex name("[^:a-z_](startscope_[a-z_]+)[{\\[ ]");
  int found = 0;
  for (std::sregex_iterator match(rules.begin(), rules.end(), name), end; match != end; ++match) {
    ++found;
    EXPECT_TRUE(text.find("\n" + match->str(1) + " ") != std::string::npos ||
                text.find("\n" + match->str(1) + "{") != std::string::npos)
        << match->str(1);
  }
  EXPECT_GE(found, 10);
}

TEST(ExponentialBucketsTest, EachIsFactorTimesTheOneBefore) {
  const auto bounds = ExponentialBuckets(1, 2, 4);
  EXPECT_THAT(bounds, ::testing::ElementsAre(1, 2, 4, 8));
  EXPECT_EQ(StartupBuckets().size(), 20u);
  EXPECT_EQ(PhaseBuckets().size(), 10u);
}

TEST(EnumLabelTest, IsTheLowerCaseNameWithoutItsPrefix) {
  EXPECT_EQ(EnumLabel("PHASE_KERNEL_EXEC", "PHASE_"), "kernel_exec");
  EXPECT_EQ(EnumLabel(Phase_Name(static_cast<Phase>(77)), "PHASE_"), "other");
}

}  // namespace
}  // namespace startscope
