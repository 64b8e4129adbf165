// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "client/json.h"
#include "client/output_sink.h"
#include "google/protobuf/util/json_util.h"
#include "startscope/v1/startup.pb.h"

namespace startscope {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(OutputSink, AFileIsTruncatedAndWritten) {
  const std::string path = testing::TempDir() + "startscope-sink";
  std::ofstream(path) << "what was there before";
  {
    auto sink = OutputSink::ForFile(path);
    ASSERT_TRUE(sink.ok());
    EXPECT_TRUE(sink->Write("new\n").ok());
  }
  std::ifstream file(path);
  const std::string content((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(content, "new\n");
  std::filesystem::remove(path);
}

TEST(OutputSink, AWrongPathIsKnownAtOnce) {
  const auto sink = OutputSink::ForFile("/no/such/directory/file");
  EXPECT_THAT(std::string(sink.status().message()), HasSubstr("/no/such/directory/file"));
}

TEST(OutputSink, AFullDeviceIsAnErrorThatStays) {
  auto sink = OutputSink::ForFile("/dev/full");
  ASSERT_TRUE(sink.ok());
  EXPECT_FALSE(sink->Write("x").ok());
  EXPECT_FALSE(sink->Write("").ok());
}

TEST(Json, IsOneLineWithOriginalNames) {
  startscope::v1::Startup startup;
  startup.set_startup_id("a\nb");
  const auto line = ToJsonLine(startup);
  ASSERT_TRUE(line.ok());
  EXPECT_THAT(*line, HasSubstr("\"startup_id\":\"a\\nb\""));
  EXPECT_EQ(line->find('\n'), line->size() - 1);
}

TEST(Json, WhatATerminalActsOnIsEscapedAndNothingIsLost) {
  startscope::v1::Startup startup;
  startup.mutable_process()->set_comm(
      "\x1b[1m\x7f\u009b\u2066\u061c\u3164\U000e0041 caf\u00e9\U0001f600");
  const std::string line = *ToJsonLine(startup);
  EXPECT_NE(line.find("\\u2066\\u061c\\u3164\\udb40\\udc41 caf\u00e9\U0001f600"), std::string::npos)
      << line;
  EXPECT_EQ(line.find_first_of("\x1b\x7f"), std::string::npos);
  startscope::v1::Startup again;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(line, &again).ok());
  EXPECT_EQ(again.process().comm(), startup.process().comm());
}

TEST(Json, PrintsZeroButNotWhatWasNotMeasured) {
  startscope::v1::Startup startup;
  startup.add_phases()->set_major_faults(0);
  const std::string line = *ToJsonLine(startup);
  EXPECT_THAT(line, HasSubstr("\"total_ns\":\"0\""));
  EXPECT_THAT(line, HasSubstr("\"major_faults\":\"0\""));
  EXPECT_THAT(line, Not(HasSubstr("minor_faults")));
}

}  // namespace
}  // namespace startscope
