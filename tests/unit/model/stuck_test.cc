// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Startups that go on for long: when they are told of, and where they are said to be.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "daemon/model/stuck_finder.h"
#include "tests/unit/model/scripted_startup.h"

namespace startscope {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr FileId kLibA{8, 1, 400};
constexpr uint64_t kLibABase = 0x7d0000000000;
constexpr uint64_t kAfter = 10'000;
constexpr uint64_t kPage = 0x1000;

class StuckTest : public ::testing::Test {
 protected:
  StuckTest() { Use(Precision::kExact); }

  void Use(Precision precision) {
    WatchTerms terms;
    terms.precision = precision;
    terms.deadline_ns = 60'000'000'000;
    terms.stuck_after_ns = kAfter;
    model_.SetWatch(0, terms);
  }

  void Marked() {
    script_.Image(kExecutable, Libc::kGlibc, Linkage::kDynamic,
                  {MarkKind::kMain, MarkKind::kEntry});
    script_.Image(kLoader, Libc::kGlibc, Linkage::kUnspecified,
                  {MarkKind::kLoaderEntry, MarkKind::kDependenciesBegin,
                   MarkKind::kDependenciesMapped, MarkKind::kRelocated});
  }

  void Unmarked() {
    script_.Image(kExecutable, Libc::kGlibc, Linkage::kDynamic, {});
    script_.Image(kLoader, Libc::kGlibc, Linkage::kUnspecified, {});
  }

  void Start() {
    script_.MapImages(20, true).Exec(50, 0, true).Fault(100, kLoaderBase + 0x1000, 5, true);
  }

  void Map(uint64_t at, const FileId& file, uint64_t base, const std::string& path) {
    script_.Map(at, file, base, 4 * kPage, PROT_READ, path)
        .Map(at + 1, file, base + kPage, kPage, PROT_READ | PROT_EXEC, path, kPage)
        .Map(at + 2, file, base + 3 * kPage, kPage, PROT_READ | PROT_WRITE, path, 3 * kPage);
  }

  void Protect(uint64_t at, const FileId& file, uint64_t base, const std::string& path) {
    script_.Map(at, file, base + 3 * kPage, kPage, PROT_READ, path, 3 * kPage);
  }

  void MapBoth(uint64_t at) {
    Map(at, kLibA, kLibABase, "/lib/liba.so");
    Map(at + 10, kLibc, kLibcBase, "/lib/libc.so");
  }

  // All that was told by then.
  const StuckStartup& At(uint64_t at) {
    model_.AdvanceTo(Script::kOrigin + at);
    EXPECT_THAT(recorder_.stuck, testing::Not(IsEmpty()));
    return recorder_.stuck.back().second;
  }

  Recorder recorder_;
  StartupModel model_{ModelOptions{}, &recorder_, &recorder_};
  Script script_{&model_};
};

TEST(StuckMomentTest, DoublesFromTheFirst) {
  EXPECT_EQ(LastStuckMoment(100, 99), 0u);
  EXPECT_EQ(LastStuckMoment(100, 100), 100u);
  EXPECT_EQ(LastStuckMoment(100, 399), 200u);
  EXPECT_EQ(LastStuckMoment(0, 399), 0u);
  EXPECT_EQ(NextStuckMoment(100, 0), 100u);
  EXPECT_EQ(NextStuckMoment(100, 399), 400u);
  EXPECT_EQ(LastStuckMoment(1, UINT64_MAX), uint64_t{1} << 63);
}

TEST_F(StuckTest, IsToldOnceForEachDoubling) {
  Marked();
  Start();
  for (uint64_t at = 1000; at < 50'000; at += 1000) model_.AdvanceTo(Script::kOrigin + at);
  ASSERT_THAT(recorder_.stuck, SizeIs(3));
  EXPECT_EQ(recorder_.stuck[0].second.elapsed_ns, 10'000u);
  EXPECT_EQ(recorder_.stuck[1].second.elapsed_ns, 20'000u);
  EXPECT_EQ(recorder_.stuck[2].second.elapsed_ns, 40'000u);
}

TEST_F(StuckTest, IsNotToldOfWhatIsOver) {
  Marked();
  Start();
  script_.Mark(9000, MarkKind::kMain, kExecutable);
  model_.AdvanceTo(Script::kOrigin + 50'000);
  EXPECT_THAT(recorder_.stuck, IsEmpty());
}

TEST_F(StuckTest, IsToldToWatchesThatAskedForIt) {
  WatchTerms other;
  other.deadline_ns = 60'000'000'000;
  model_.SetWatch(1, other);
  other.stuck_after_ns = 4 * kAfter;
  model_.SetWatch(2, other);
  Marked();
  script_.MapImages(20, true).Exec(50, 0, true, 1, 0b111);
  At(10'000);
  At(40'000);
  ASSERT_THAT(recorder_.stuck, SizeIs(2));
  EXPECT_EQ(recorder_.stuck[0].first, WatchMask{0b001});
  EXPECT_EQ(recorder_.stuck[1].first, WatchMask{0b101});
}

TEST_F(StuckTest, IsDeliveredAsUsualInTheEnd) {
  Marked();
  Start();
  const std::string id = At(15'000).startup_id;
  script_.Mark(16'000, MarkKind::kMain, kExecutable);
  model_.AdvanceTo(Script::kOrigin + 1'000'000'000);
  ASSERT_THAT(recorder_.finished, SizeIs(1));
  EXPECT_EQ(recorder_.finished[0].second->startup_id, id);
  EXPECT_THAT(recorder_.stuck, SizeIs(1));
}

TEST_F(StuckTest, ManyAtOnceAreToldInTurn) {
  std::vector<std::unique_ptr<Script>> others;
  for (uint32_t pid = 100; pid < 130; ++pid) {
    others.push_back(std::make_unique<Script>(&model_, pid));
    others.back()->Exec(50, 0, true);
  }
  model_.AdvanceTo(Script::kOrigin + kAfter);
  EXPECT_LT(recorder_.stuck.size(), 30u);
  for (int i = 0; i < 10; ++i) model_.AdvanceTo(Script::kOrigin + kAfter + 1);
  EXPECT_THAT(recorder_.stuck, SizeIs(30));
}

TEST_F(StuckTest, BootstrapIsTheLoaders) {
  Marked();
  Start();
  const StuckStartup& stuck = At(15'000);
  EXPECT_EQ(stuck.phase, Phase::kLoaderBootstrap);
  EXPECT_EQ(stuck.object, "/lib/ld.so");
  EXPECT_EQ(stuck.phase_elapsed_ns, 15'000u - 95);
}

TEST_F(StuckTest, MappingIsNotOverWhileItsMarkIsAwaited) {
  Marked();
  Start();
  script_.Mark(200, MarkKind::kDependenciesBegin, kLoader);
  Map(300, kLibA, kLibABase, "/lib/liba.so");
  const StuckStartup& stuck = At(15'000);
  EXPECT_EQ(stuck.phase, Phase::kDependencyMapping);
  EXPECT_EQ(stuck.object, "/lib/liba.so");
}

TEST_F(StuckTest, MappingIsNotOverUntilRelocationShows) {
  Use(Precision::kUnperturbed);
  Unmarked();
  Start();
  MapBoth(300);
  EXPECT_EQ(At(15'000).phase, Phase::kDependencyMapping);
  EXPECT_EQ(recorder_.stuck.back().second.object, "/lib/libc.so");
  Protect(16'000, kLibc, kLibcBase, "/lib/libc.so");
  EXPECT_EQ(At(20'000).phase, Phase::kRelocation);
  EXPECT_EQ(recorder_.stuck.back().second.object, "/lib/liba.so");
}

TEST_F(StuckTest, RelocationIsOfWhatIsWrittenInto) {
  Marked();
  Start();
  script_.Mark(200, MarkKind::kDependenciesBegin, kLoader);
  MapBoth(300);
  script_.Mark(400, MarkKind::kDependenciesMapped, kLoader);
  EXPECT_EQ(At(15'000).object, "/lib/libc.so");
  Protect(16'000, kLibc, kLibcBase, "/lib/libc.so");
  EXPECT_EQ(At(20'000).object, "/lib/liba.so");
  FaultEvent write;
  write.address = 0x403000;
  write.access_known = true;
  write.write = true;
  script_.Send(21'000, write);
  EXPECT_EQ(At(40'000).object, "/usr/bin/hello");
  EXPECT_EQ(recorder_.stuck.back().second.phase, Phase::kRelocation);
}

TEST_F(StuckTest, ConstructorsAreOfTheLibraryThatRanLast) {
  Marked();
  Start();
  script_.Mark(200, MarkKind::kDependenciesBegin, kLoader);
  MapBoth(300);
  script_.Mark(400, MarkKind::kDependenciesMapped, kLoader)
      .Mark(500, MarkKind::kRelocated, kLoader)
      .Fault(600, kLibcBase + kPage, 5, true)
      .Fault(700, kLibABase + kPage, 5, true)
      .Fault(800, kLibcBase + kPage + 0x800, 5, true);
  const StuckStartup& stuck = At(15'000);
  EXPECT_EQ(stuck.phase, Phase::kConstructors);
  EXPECT_EQ(stuck.object, "/lib/liba.so");
  EXPECT_EQ(stuck.phase_elapsed_ns, 14'500u);
}

TEST_F(StuckTest, LoadersOwnProtectionBeginsConstructorsWithoutMarks) {
  Use(Precision::kUnperturbed);
  Unmarked();
  Start();
  MapBoth(300);
  Protect(400, kLibc, kLibcBase, "/lib/libc.so");
  Protect(410, kLibA, kLibABase, "/lib/liba.so");
  script_.Map(420, kLoader, kLoaderBase + 0x30000, 0x1000, PROT_READ, "/lib/ld.so", 0x30000)
      .Fault(700, kLibABase + kPage, 5, true);
  const StuckStartup& stuck = At(15'000);
  EXPECT_EQ(stuck.phase, Phase::kConstructors);
  EXPECT_EQ(stuck.phase_source, BoundarySource::kMapping);
  EXPECT_EQ(stuck.object, "/lib/liba.so");
}

TEST_F(StuckTest, AMarkedFunctionIsNamed) {
  Marked();
  Start();
  auto facts = std::make_shared<ImageFacts>();
  facts->file = kLibA;
  facts->kind = ImageKind::kLibrary;
  InitFunction function;
  function.symbol = "_GLOBAL__sub_I_slow";
  function.site.file_offset = kPage + 0x20;
  facts->init_functions.push_back(function);
  ImageEvent image;
  image.facts = facts;
  image.image = 400;
  script_.Send(0, image).Mark(200, MarkKind::kDependenciesBegin, kLoader);
  MapBoth(300);
  script_.Mark(400, MarkKind::kDependenciesMapped, kLoader)
      .Mark(500, MarkKind::kRelocated, kLoader);
  MarkEvent mark;
  mark.kind = MarkKind::kInitFunction;
  mark.image = 400;
  mark.ip = kLibABase + kPage + 0x20;
  script_.Send(600, mark);
  const StuckStartup& stuck = At(15'000);
  EXPECT_EQ(stuck.object, "/lib/liba.so");
  EXPECT_EQ(stuck.function, "_GLOBAL__sub_I_slow");
}

TEST_F(StuckTest, RuntimeInitIsTheExecutables) {
  Marked();
  Start();
  script_.Mark(200, MarkKind::kDependenciesBegin, kLoader)
      .Mark(400, MarkKind::kDependenciesMapped, kLoader)
      .Mark(500, MarkKind::kRelocated, kLoader)
      .Mark(600, MarkKind::kEntry, kExecutable);
  const StuckStartup& stuck = At(15'000);
  EXPECT_EQ(stuck.phase, Phase::kRuntimeInit);
  EXPECT_EQ(stuck.object, "/usr/bin/hello");
}

}  // namespace
}  // namespace startscope
