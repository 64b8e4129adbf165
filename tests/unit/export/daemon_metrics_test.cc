// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/daemon_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/metric_family.h>

#include "absl/strings/str_cat.h"
#include "client/export/metrics_server.h"

namespace startscope {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

startscope::v1::GetStatusResponse Status() {
  startscope::v1::GetStatusResponse status;
  status.set_version("9.9");
  status.set_records_received(1234567890123);
  auto& counter = *status.add_losses();
  counter.set_stage(startscope::v1::LOSS_STAGE_KERNEL_RING);
  counter.set_name("records");
  counter.set_produced(100);
  counter.set_lost(3);
  return status;
}

TEST(DaemonMetricsTest, HasTheFiguresOfTheLastStatus) {
  DaemonMetrics metrics;
  metrics.Update(Status());
  const std::string text = ScrapeText({&metrics});
  EXPECT_THAT(text, HasSubstr("startscope_daemon_lost_total{stage=\"kernel_ring\",what=\"records\"}"
                              " 3\n"));
  EXPECT_THAT(text, HasSubstr("startscope_daemon_records_received_total 1234567890123\n"));
  EXPECT_THAT(text, HasSubstr("version=\"9.9\""));
}

TEST(DaemonMetricsTest, WithoutADaemonThereIsNothing) {
  DaemonMetrics metrics;
  EXPECT_EQ(ScrapeText({&metrics}), "");
  metrics.Update(Status());
  metrics.Clear();
  EXPECT_EQ(ScrapeText({&metrics}), "");
}

TEST(DaemonMetricsTest, AnEvictionIsNoLoss) {
  auto status = Status();
  status.mutable_losses(0)->set_eviction(true);
  DaemonMetrics metrics;
  metrics.Update(status);
  const std::string text = ScrapeText({&metrics});
  EXPECT_THAT(text, HasSubstr("startscope_daemon_evicted_total"));
  EXPECT_THAT(text, Not(HasSubstr("startscope_daemon_lost_total")));
}

TEST(DaemonMetricsTest, CountersOfOneNameAreOneSeriesAndTheirNumberIsBounded) {
  auto status = Status();
  *status.add_losses() = status.losses(0);
  for (int i = 0; i < 1000; ++i) {
    *status.add_losses() = status.losses(0);
    status.mutable_losses(status.losses_size() - 1)->set_name(absl::StrCat("made up ", i));
  }
  DaemonMetrics metrics;
  metrics.Update(status);
  size_t lost = 0;
  for (const auto& family : metrics.Collect()) {
    if (family.name == "startscope_daemon_lost_total") lost = family.metric.size();
  }
  EXPECT_GT(lost, 1u);
  EXPECT_LE(lost, 64u);
}

TEST(DaemonMetricsTest, TextOfTheDaemonIsCutAndEscaped) {
  auto status = Status();
  status.set_version(std::string(100'000, 'v') + "\x1b");
  status.mutable_kernel()->set_release("\x1b]0;title\x07\n");
  // Alike once they are cut.
  status.mutable_losses(0)->set_name(std::string(1000, 'n') + "1");
  *status.add_losses() = status.losses(0);
  status.mutable_losses(1)->set_name(std::string(1000, 'n') + "2");
  DaemonMetrics metrics;
  metrics.Update(status);
  const std::string text = ScrapeText({&metrics});
  EXPECT_THAT(text, HasSubstr("kernel=\"\\\\x1b]0;title\\\\x07\\\\x0a\""));
  EXPECT_LT(text.size(), 10'000u);
  const size_t first = text.find("startscope_daemon_lost_total{");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(text.find("startscope_daemon_lost_total{", first + 1), std::string::npos);
}

}  // namespace
}  // namespace startscope
