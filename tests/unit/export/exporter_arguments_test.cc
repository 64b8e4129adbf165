// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/exporter_arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace startscope {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string UsageErrorOf(const std::vector<std::string>& arguments) {
  const auto parsed = ParseExporterArguments(arguments);
  const auto* stop = std::get_if<ParseStop>(&parsed);
  if (stop == nullptr) return "no error";
  EXPECT_EQ(stop->exit_code, kExitUsage);
  return stop->text;
}

TEST(ExporterArgumentsTest, MetricsAreOnLoopbackByDefault) {
  const auto parsed = ParseExporterArguments({"metrics"});
  const auto& options = std::get<MetricsOptions>(std::get<ParsedExporterCommand>(parsed));
  EXPECT_EQ(options.listen, "127.0.0.1:9464");
  EXPECT_EQ(options.watch.level, startscope::v1::LEVEL_PHASES);
}

TEST(ExporterArgumentsTest, TheAddressMayStandBeforeTheCommand) {
  const auto parsed = ParseExporterArguments({"--address", "unix:///s", "metrics", "--label", "uid",
                                              "--label", "comm", "--exe", "/bin/a"});
  const auto& options = std::get<MetricsOptions>(std::get<ParsedExporterCommand>(parsed));
  EXPECT_EQ(options.watch.address, "unix:///s");
  EXPECT_THAT(options.labels, ElementsAre("uid", "comm"));
  EXPECT_THAT(options.watch.filter.executable(), ElementsAre("/bin/a"));
}

TEST(ExporterArgumentsTest, AWrongWordIsAnErrorThatListsTheRightOnes) {
  EXPECT_THAT(UsageErrorOf({"metrics", "--label", "argv"}), HasSubstr("executable, comm"));
  EXPECT_THAT(UsageErrorOf({"metrics", "--level", "all"}), HasSubstr("phases"));
  EXPECT_THAT(UsageErrorOf({"metrics", "--max-series", "1"}), HasSubstr("--max-series"));
  EXPECT_THAT(UsageErrorOf({"metrics", "extra"}), HasSubstr("extra"));
}

}  // namespace
}  // namespace startscope
