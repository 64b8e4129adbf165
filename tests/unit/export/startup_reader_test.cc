// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/startup_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "client/json.h"
#include "tests/unit/export/test_startups.h"

namespace startscope {
namespace {

using ::testing::HasSubstr;

TEST(StartupReaderTest, ReadsWhatTheClientWrites) {
  std::istringstream input(*ToJsonLine(TestStartup("/bin/a")) + "\n" +
                           *ToJsonLine(TestStartup("/bin/b")));
  std::vector<std::string> paths;
  const ReadCounts counts = ReadStartups(input, "name", [&](startscope::v1::Startup startup) {
    paths.push_back(startup.process().executable());
    return true;
  });
  EXPECT_THAT(paths, ::testing::ElementsAre("/bin/a", "/bin/b"));
  EXPECT_EQ(counts.bad, 0u);
}

TEST(StartupReaderTest, ABadLineIsToldAndTheNextOneRead) {
  std::istringstream input("{\"resume_gap\":{}}\nnonsense\n{}\n\x1b[31m\n" +
                           *ToJsonLine(TestStartup("/bin/a")));
  const ReadCounts counts =
      ReadStartups(input, "a file", [](startscope::v1::Startup) { return true; });
  EXPECT_EQ(counts.startups, 1u);
  EXPECT_EQ(counts.other, 1u);
  EXPECT_EQ(counts.bad, 3u);
  EXPECT_THAT(counts.first_error, HasSubstr("a file:2: not a startup"));
  EXPECT_THAT(counts.first_error, HasSubstr("startscope watch --format json"));
}

TEST(StartupReaderTest, ALineWithoutEndIsNotHeld) {
  std::string text(kMaxLineBytes + 10, 'x');
  text += "\n" + *ToJsonLine(TestStartup("/bin/a"));
  std::istringstream input(text);
  const ReadCounts counts =
      ReadStartups(input, "name", [](startscope::v1::Startup) { return true; });
  EXPECT_EQ(counts.bad, 1u);
  EXPECT_EQ(counts.startups, 1u);
  EXPECT_THAT(counts.first_error, HasSubstr("longer than 64 MiB"));
}

}  // namespace
}  // namespace startscope
