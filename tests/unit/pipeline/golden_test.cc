// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Recorded bytes in, startups out: each tests/data/NAME.rec is replayed through decode, order and model
// and compared with tests/data/NAME.golden. With STARTSCOPE_UPDATE_GOLDEN set, the golden files are
// written instead, and every test fails so that this cannot pass for a test run. The recordings are made by
// tests/integration/make_recordings.py.

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "daemon/collect/recording.h"
#include "daemon/pipeline.h"
#include "daemon/serve/startup_to_proto.h"

namespace startscope {
namespace {

class Collector : public StartupListener, public ImageProber {
 public:
  void OnStarted(WatchMask, const Startup&) override { ++started; }
  void OnPhaseFinished(WatchMask, const Startup&, const PhaseSlice&) override {}
  void OnReached(WatchMask, MilestoneKind, std::shared_ptr<const Startup> startup) override {
    startups.push_back(std::move(startup));
  }
  void OnFinished(WatchMask, std::shared_ptr<const Startup> startup) override {
    startups.push_back(std::move(startup));
  }
  void OnStuck(WatchMask, const StuckStartup&) override {}
  void OnLost(LossStage, uint64_t count) override { lost += count; }
  bool RequestImage(const ProbeRequest&) override { return true; }
  void OnLoaderActivity(WatchMask, const LoaderActivity&) override {}
  bool RequestSymbols(const SymbolRequest&) override { return true; }
  void StopTracking(uint32_t, uint64_t) override {}

  std::vector<std::shared_ptr<const Startup>> startups;
  int started = 0;
  uint64_t lost = 0;
};

std::string ReplayToText(const std::string& path) {
  auto source = ReplayEventSource::Open(path);
  if (!source.ok()) return std::string(source.status().message());
  Collector collector;
  Pipeline pipeline({}, &collector, &collector);
  while ((*source)->Wait(0)) {
    (*source)->Drain([&](const RawRecord& record) { pipeline.OnRecord(record); });
  }
  pipeline.Finish();
  EXPECT_TRUE((*source)->status().ok()) << (*source)->status();
  EXPECT_EQ(pipeline.decoder().bad_total(), 0u);
  EXPECT_EQ(collector.lost, 0u);
  std::string text;
  for (const auto& startup : collector.startups) {
    v1::Startup message;
    ToProto(*startup, {.level = Level::kFunctions, .link_facts = true}, ProtoContext{}, &message);
    std::string one;
    google::protobuf::TextFormat::PrintToString(message, &one);
    text += one + "\n";

    uint64_t end = 0;
    for (const PhaseSlice& slice : startup->phases) {
      EXPECT_EQ(slice.offset_ns, end);
      end += slice.duration_ns;
    }
    EXPECT_EQ(end, startup->total_ns);
  }
  return text;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> Recordings() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(STARTSCOPE_TEST_DATA)) {
    if (entry.path().extension() == ".rec") names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class GoldenTest : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenTest, ReplayGivesTheGoldenStartups) {
  const std::string base = std::string(STARTSCOPE_TEST_DATA) + "/" + GetParam();
  const std::string text = ReplayToText(base + ".rec");
  if (std::getenv("STARTSCOPE_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(base + ".golden") << text;
    FAIL() << "golden file written";
  }
  EXPECT_FALSE(text.empty());
  EXPECT_EQ(text, ReadFile(base + ".golden"));
}

INSTANTIATE_TEST_SUITE_P(Recordings, GoldenTest, ::testing::ValuesIn(Recordings()),
                         [](const auto& info) { return info.param; });

TEST(RecordingTest, RefusesWhatIsNotARecording) {
  const std::string path = ::testing::TempDir() + "/not_a_recording";
  std::ofstream(path) << "something else entirely";
  const auto source = ReplayEventSource::Open(path);
  EXPECT_EQ(source.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(source.status().message().find("not a startscope recording"), std::string::npos);
}

TEST(RecordingTest, SaysWhereATruncatedRecordingEnds) {
  const std::string whole = ReadFile(std::string(STARTSCOPE_TEST_DATA) + "/" +
                                     Recordings().at(0) + ".rec");
  const std::string path = ::testing::TempDir() + "/truncated.rec";
  std::ofstream(path) << whole.substr(0, whole.size() - 3);
  auto source = ReplayEventSource::Open(path);
  ASSERT_TRUE(source.ok());
  while ((*source)->Wait(0)) (*source)->Drain([](const RawRecord&) {});
  EXPECT_EQ((*source)->status().code(), absl::StatusCode::kDataLoss);
}

TEST(RecordingTest, NeverOverwritesAFile) {
  const std::string path = ::testing::TempDir() + "/existing.rec";
  std::ofstream(path) << "precious";
  const auto writer = RecordingWriter::Create(path, 1 << 20);
  EXPECT_EQ(writer.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ReadFile(path), "precious");
}

}  // namespace
}  // namespace startscope
