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

ExportOptions ParsedExport(const std::vector<std::string>& arguments) {
  const auto parsed = ParseExporterArguments(arguments);
  return std::get<ExportOptions>(std::get<ParsedExporterCommand>(parsed));
}

TEST(ExporterArgumentsTest, WhatHappensNowIsSampledByDefault) {
  const ExportOptions options = ParsedExport({"export"});
  EXPECT_EQ(options.sampling.fraction, 0.01);
  EXPECT_EQ(options.sampling.rate, 2u);
}

TEST(ExporterArgumentsTest, AFileIsExportedWholeUnlessAskedOtherwise) {
  EXPECT_EQ(ParsedExport({"export", "f"}).sampling.fraction, 1);
  EXPECT_EQ(ParsedExport({"export", "f"}).sampling.rate, std::nullopt);
  EXPECT_EQ(ParsedExport({"export", "f", "--sample", "0.5"}).sampling.fraction, 0.5);
  EXPECT_EQ(ParsedExport({"export", "f", "--rate", "7"}).sampling.rate, 7u);
}

}  // namespace
}  // namespace startscope
