// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/startup_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "client/export/metrics_server.h"
#include "client/export/text_label.h"
#include "tests/unit/export/test_startups.h"

namespace startscope {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr absl::Duration kIdle = absl::Minutes(15);

class StartupGroupsTest : public ::testing::Test {
 protected:
  std::string Scrape() { return ScrapeText({&registry_}); }

  prometheus::Registry registry_;
  absl::Time now_ = absl::UnixEpoch();
};

TEST_F(StartupGroupsTest, GroupsByTheValuesOfTheLabels) {
  StartupGroups groups(registry_, {FindOpenLabel("executable"), FindOpenLabel("uid")}, 1000, kIdle);
  groups.Observe(TestStartup("/bin/a"), now_);
  groups.Observe(TestStartup("/bin/a"), now_);
  groups.Observe(TestStartup("/bin/b"), now_);
  EXPECT_EQ(groups.groups(), 2u);
  EXPECT_THAT(Scrape(), HasSubstr("startscope_group_startups_total{executable=\"/bin/a\",outcome="
                                  "\"reached\",uid=\"1000\"} 2\n"));
}

TEST_F(StartupGroupsTest, WithoutLabelsThereIsNothing) {
  StartupGroups groups(registry_, {}, 1000, kIdle);
  groups.Observe(TestStartup("/bin/a"), now_);
  EXPECT_EQ(Scrape(), "");
}

TEST_F(StartupGroupsTest, WhatExceedsTheCapIsInTheGroupOtherAndCounted) {
  constexpr size_t kMaxSeries = 5 * StartupGroups::kSeriesPerGroup;
  StartupGroups groups(registry_, {FindOpenLabel("executable")}, kMaxSeries, kIdle);
  for (int i = 0; i < 10'000; ++i) groups.Observe(TestStartup(absl::StrCat("/bin/p", i)), now_);
  EXPECT_EQ(groups.groups(), 4u);
  const std::string text = Scrape();
  EXPECT_THAT(text, HasSubstr("startscope_group_startups_total{executable=\"other\",outcome="
                              "\"reached\"} 9996\n"));
  EXPECT_THAT(text, HasSubstr("startscope_exporter_overflowed_startups_total 9996\n"));
  size_t series = 0;
  for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    series += text.compare(at, 17, "startscope_group_") == 0;
  }
  EXPECT_LE(series, kMaxSeries);
}

TEST_F(StartupGroupsTest, AnIdleGroupGivesWayAndItsSeriesGo) {
  StartupGroups groups(registry_, {FindOpenLabel("executable")}, 3 * StartupGroups::kSeriesPerGroup,
                       kIdle);
  groups.Observe(TestStartup("/bin/old"), now_);
  groups.Observe(TestStartup("/bin/busy"), now_);
  now_ += kIdle;
  groups.Observe(TestStartup("/bin/busy"), now_);
  groups.Observe(TestStartup("/bin/new"), now_);
  EXPECT_EQ(groups.groups(), 2u);
  const std::string text = Scrape();
  EXPECT_THAT(text, Not(HasSubstr("/bin/old")));
  EXPECT_THAT(text, HasSubstr("{executable=\"/bin/busy\",outcome=\"reached\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("{executable=\"/bin/new\",outcome=\"reached\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("startscope_exporter_evicted_groups_total 1\n"));
}

TEST_F(StartupGroupsTest, ALongValueIsCutAtACharacter) {
  StartupGroups groups(registry_, {FindOpenLabel("executable")}, 1000, kIdle);
  std::string path(kMaxLabelBytes - 1, 'x');
  groups.Observe(TestStartup(path + "\xC3\xA4" + "tail"), now_);
  EXPECT_THAT(Scrape(), HasSubstr("executable=\"" + path + "\""));
}

TEST_F(StartupGroupsTest, HostileNamesAreEscaped) {
  StartupGroups groups(registry_, {FindOpenLabel("executable")}, 1000, kIdle);
  groups.Observe(TestStartup("/bin/a\"} 1\nfake_metric 2\\"), now_);
  EXPECT_THAT(Scrape(), Not(HasSubstr("\nfake_metric")));
}

TEST_F(StartupGroupsTest, NoControlCharacterIsInAScrape) {
  StartupGroups groups(registry_, {FindOpenLabel("executable")}, 1000, kIdle);
  groups.Observe(TestStartup("/bin/\x1b[31m\r\u202e"), now_);
  EXPECT_THAT(Scrape(), HasSubstr("executable=\"/bin/\\\\x1b[31m\\\\x0d\\\\u{202e}\""));
}

TEST_F(StartupGroupsTest, WhatIsCalledOtherIsOfTheRestAndNeverGivesWay) {
  StartupGroups groups(registry_, {FindOpenLabel("executable")}, 3 * StartupGroups::kSeriesPerGroup,
                       kIdle);
  groups.Observe(TestStartup("other"), now_);
  for (const char* path : {"/bin/a", "/bin/b", "/bin/c"}) {
    groups.Observe(TestStartup(path), now_);
  }
  now_ += kIdle;
  for (const char* path : {"/bin/d", "/bin/e", "/bin/f"}) {
    groups.Observe(TestStartup(path), now_);
  }
  const std::string text = Scrape();
  EXPECT_THAT(text, HasSubstr("{executable=\"other\",outcome=\"reached\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("startscope_exporter_overflowed_startups_total 2\n"));
  EXPECT_THAT(text, HasSubstr("startscope_exporter_evicted_groups_total 2\n"));
}

TEST(OpenLabelTest, ArgumentsAreNoLabel) {
  EXPECT_EQ(FindOpenLabel("argv"), nullptr);
  EXPECT_NE(FindOpenLabel("pod_uid"), nullptr);
}

}  // namespace
}  // namespace startscope
