// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The inspector as the daemon uses it: the real program, in its real sandbox.

#include "daemon/inspect/inspector.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "daemon/inspect/frame.h"
#include "tests/unit/elf/elf_testing.h"

namespace startscope {
namespace {

struct Opened {
  explicit Opened(const std::string& path) : fd(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat status {};
    EXPECT_EQ(fstat(fd.get(), &status), 0) << path;
    file = {fd.get(),
            path,
            FileStamp::Of(status),
            status.st_uid,
            status.st_mode,
            [this, path](const DebugReference& reference) {
              return DebugFinder().Find(reference, ImageToDebug(fd, path));
            }};
  }
  UniqueFd fd;
  FileToInspect file;
};

// The last child that the main thread of this process started; 0: it has none.
int ChildOf(int pid) {
  const std::string number = std::to_string(pid);
  std::ifstream children("/proc/" + number + "/task/" + number + "/children");
  int last = 0;
  while (children >> last) {
  }
  return last;
}

class InspectorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto launcher = Launcher::Start({STARTSCOPE_INSPECTOR});
    ASSERT_TRUE(launcher.ok()) << launcher.status();
    launcher_ = *std::move(launcher);
    auto inspector = Inspector::Start({}, launcher_.get());
    ASSERT_TRUE(inspector.ok()) << inspector.status();
    inspector_ = *std::move(inspector);
  }

  std::unique_ptr<Launcher> launcher_;
  std::unique_ptr<Inspector> inspector_;
};

TEST_F(InspectorTest, SaysTheSameAsTheReaderDoesHere) {
  for (const std::string path : {"/bin/ls", kGlibcLoader, "/lib/x86_64-linux-gnu/libc.so.6"}) {
    const Opened opened(path);
    const Inspector::Result result = inspector_->Inspect(opened.file, {});
    const ImageFacts here = Inspect(path);
    EXPECT_EQ(result.facts.error, "");
    EXPECT_EQ(result.facts.kind, here.kind);
    EXPECT_EQ(result.facts.evidence, here.evidence);
    EXPECT_EQ(result.facts.main_address, here.main_address);
    EXPECT_EQ(result.facts.debug_file_used, here.debug_file_used);
    EXPECT_EQ(result.facts.init_functions.size(), here.init_functions.size());
    ASSERT_EQ(result.facts.sites.size(), here.sites.size());
    for (size_t i = 0; i < here.sites.size(); ++i) {
      EXPECT_EQ(result.facts.sites[i].file_offset, here.sites[i].file_offset);
    }
  }
  EXPECT_EQ(inspector_->State().requests, 3u);
  EXPECT_EQ(inspector_->State().restarts, 0u);
}

TEST_F(InspectorTest, NamesFunctions) {
  const std::string path = Program("hello_glibc_dynamic");
  const auto main = ReadelfSymbol(path, "main");
  ASSERT_TRUE(main.has_value());
  const Opened opened(path);
  const ImageFacts facts = inspector_->Inspect(opened.file, {}).facts;
  uint64_t offset = 0;
  for (const LoadSegment& segment : facts.segments) {
    if (segment.executable) offset = main->address - segment.address + segment.file_offset;
  }
  EXPECT_EQ(inspector_->FindFunctions(opened.file, {offset, 1}),
            (std::vector<std::string>{"main", ""}));
}

TEST_F(InspectorTest, IsReplacedWhenItWasKilledAndNothingIsLost) {
  const Opened opened("/bin/ls");
  for (int round = 1; round <= 6; ++round) {
    const int launcher = ChildOf(getpid());
    ASSERT_NE(launcher, 0);
    const int child = ChildOf(launcher);
    ASSERT_NE(child, 0);
    ASSERT_EQ(kill(child, SIGKILL), 0);
    EXPECT_EQ(inspector_->Inspect(opened.file, {}).facts.error, "");
    EXPECT_EQ(inspector_->State().restarts, static_cast<uint64_t>(round));
  }
  EXPECT_TRUE(inspector_->State().refused.empty());
  EXPECT_TRUE(inspector_->State().running);
}

TEST_F(InspectorTest, WhatEndsItOverADebugFileDoesNotHaveTheFileRefused) {
  Opened opened(Sample("debuglink_sha1"));
  int handed = 0;
  opened.file.open_debug_candidates = [&](const DebugReference&) {
    EXPECT_EQ(kill(ChildOf(ChildOf(getpid())), SIGKILL), 0);
    ++handed;
    std::vector<DebugCandidate> candidates;
    candidates.push_back({UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)), 1, 1});
    return candidates;
  };
  const Inspector::Result result = inspector_->Inspect(opened.file, {});
  EXPECT_GT(handed, 0);
  EXPECT_EQ(result.facts.error, "");
  EXPECT_FALSE(result.facts.debug_file_used);
  EXPECT_FALSE(result.facts.sites.empty());
  EXPECT_TRUE(inspector_->State().refused.empty());
}

TEST_F(InspectorTest, HowLongDebugFilesTakeToOpenDoesNotCount) {
  Opened opened(Sample("debuglink_sha1"));
  opened.file.open_debug_candidates = [](const DebugReference&) {
    timespec while_opening = {1, 200'000'000};
    nanosleep(&while_opening, nullptr);
    return std::vector<DebugCandidate>();
  };
  EXPECT_EQ(inspector_->Inspect(opened.file, {}).facts.error, "");
  EXPECT_EQ(inspector_->State().timeouts, 0u);
}

TEST_F(InspectorTest, AFileThatShrankIsUnreadableAndNothingElse) {
  const std::string path = ::testing::TempDir() + "shrinking";
  std::filesystem::copy_file("/bin/ls", path, std::filesystem::copy_options::overwrite_existing);
  const Opened opened(path);
  ASSERT_EQ(truncate(path.c_str(), 100), 0);
  inspector_->Inspect(opened.file, {});
  EXPECT_EQ(inspector_->State().restarts, 0u);
  std::filesystem::remove(path);
}

TEST(LauncherTest, WithoutAProgramSaysWhatToDo) {
  const auto none = Launcher::Start({"/nonexistent/startscope-inspector"});
  EXPECT_EQ(none.status().code(), absl::StatusCode::kNotFound);
  EXPECT_NE(none.status().message().find("/nonexistent/startscope-inspector"),
            absl::string_view::npos);
  EXPECT_NE(none.status().message().find("install"), absl::string_view::npos);
}

TEST(LauncherTest, AProgramThatIsNoInspectorIsFoundOut) {
  auto launcher = Launcher::Start({"/bin/false"});
  ASSERT_TRUE(launcher.ok());
  EXPECT_FALSE(Inspector::Start({}, launcher->get()).ok());
}

TEST(RefusedFilesTest, AreRefusedForAsLongAsTheyStayAsTheyAre) {
  RefusedFiles refused(2);
  FileStamp stamp{1, 2, 3, 4, 5};
  refused.Add(stamp, "/a", "why");
  EXPECT_EQ(refused.ReasonFor(stamp), "why");
  FileStamp touched = stamp;
  touched.modified_ns = 6;
  EXPECT_EQ(refused.ReasonFor(touched), std::nullopt);
  refused.Add({9, 9, 9, 9, 9}, "/b", "too");
  refused.ReasonFor(stamp);
  refused.Add(touched, "/c", "three");
  EXPECT_EQ(refused.Describe(), (std::vector<std::string>{"/c: three", "/a: why"}));
}

}  // namespace
}  // namespace startscope
