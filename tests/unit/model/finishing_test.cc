// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// How long a startup that is over waits for what is still to be learnt of its files, and in what
// order startups are told.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "daemon/model/startup_model.h"
#include "tests/unit/model/scripted_startup.h"

namespace startscope {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kPatience = 1000;
constexpr uint64_t kFetched = kEntryAddress + 0x50;

// Keeps the order in which everything is told.
class OrderedRecorder : public Recorder {
 public:
  void OnReached(WatchMask mask, MilestoneKind kind, std::shared_ptr<const Startup> one) override {
    order.push_back("reached " + std::to_string(mask));
    Recorder::OnReached(mask, kind, std::move(one));
  }
  void OnFinished(WatchMask mask, std::shared_ptr<const Startup> one) override {
    order.push_back("finished " + std::to_string(mask));
    Recorder::OnFinished(mask, std::move(one));
  }
  void OnLoaderActivity(WatchMask mask, const LoaderActivity& activity) override {
    order.push_back("loaded " + activity.requested);
    Recorder::OnLoaderActivity(mask, activity);
  }
  std::vector<std::string> order;
};

class FinishingTest : public ::testing::Test {
 protected:
  FinishingTest() : model_(Options(), &seen_, &seen_), script_(&model_) {}

  static ModelOptions Options() {
    ModelOptions options;
    options.facts_patience_ns = kPatience;
    return options;
  }

  void Watch(Level level, bool until_exit = true, int slot = 0, bool loader_events = false) {
    model_.SetWatch(slot,
                    {.level = level, .until_exit = until_exit, .loader_events = loader_events});
  }

  // A dynamic start whose program and loader are known; its library is not.
  void Start(Script* script, WatchMask mask = 1) {
    script->Image(kExecutable, Libc::kGlibc, Linkage::kDynamic, {MarkKind::kEntry, MarkKind::kMain})
        .Image(kLoader, Libc::kGlibc, Linkage::kDynamic, {MarkKind::kRelocated})
        .MapImages(50, true)
        .Exec(100, 0, true, 1, mask)
        .Fault(120, kFetched, 5, /*fetch=*/true);
  }
  // A start watched at level PAGES has ended: the function that its fault happened in is asked for.
  void EndFirstAtPages() {
    Watch(Level::kPages);
    seen_.answers_symbols = true;
    Start(&script_);
    script_.Exit(600);
  }
  void MapLibrary(Script* script) {
    script->Map(310, kLibc, kLibcBase, 0x100000, PROT_READ | PROT_EXEC, "/lib/libc.so.6");
  }

  void AnswerLibrary(const std::string& error = "") {
    auto facts = std::make_shared<ImageFacts>();
    facts->file = kLibc;
    facts->kind = ImageKind::kLibrary;
    facts->soname = "libc.so.6";
    facts->error = error;
    ImageEvent event;
    event.facts = std::move(facts);
    script_.Send(0, event, false);
  }

  void ForgetFile(const FileId& file) {
    ImageEvent event;
    auto facts = std::make_shared<ImageFacts>();
    facts->file = file;
    event.facts = std::move(facts);
    event.forgotten = true;
    script_.Send(0, event, false);
  }

  void AnswerSymbols(const FileId& file,
                     const std::vector<std::pair<uint64_t, std::string>>& symbols) {
    SymbolsEvent event;
    event.file = file;
    for (const auto& [offset, name] : symbols) event.symbols.push_back({offset, name});
    script_.Send(0, event, false);
  }

  void PassTime(uint64_t at) { model_.AdvanceTo(Script::kOrigin + at); }

  // Names of the functions that the faults of a startup happened in, in order; "-": not known.
  static std::vector<std::string> Functions(const Startup& startup) {
    std::vector<std::string> functions;
    for (const TimelineEntry& entry : startup.timeline->entries) {
      const auto* fault = std::get_if<FaultEntry>(&entry.entry);
      if (fault == nullptr) continue;
      functions.push_back(fault->symbol == kNoIndex ? "-"
                                                    : startup.timeline->symbols.at(fault->symbol));
    }
    return functions;
  }

  const Startup& Last() { return *seen_.finished.back().second; }

  OrderedRecorder seen_;
  StartupModel model_;
  Script script_;
};

TEST_F(FinishingTest, WaitsForTheFactsOfItsLibraries) {
  Watch(Level::kObjects);
  Start(&script_);
  MapLibrary(&script_);
  script_.Exit(600);
  EXPECT_THAT(seen_.finished, IsEmpty());
  EXPECT_EQ(model_.open_startups(), 0u);
  AnswerLibrary();
  ASSERT_THAT(seen_.finished, SizeIs(1));
  for (const MappedObject& object : Last().objects) {
    EXPECT_EQ(object.facts == nullptr ? "" : object.facts->soname,
              object.file == kLibc ? "libc.so.6" : "");
  }
  EXPECT_EQ(Last().total_ns, 600u);
}

TEST_F(FinishingTest, AnAnswerThatItCannotBeReadIsOne) {
  Watch(Level::kObjects);
  Start(&script_);
  MapLibrary(&script_);
  script_.Exit(600);
  AnswerLibrary("no such file");
  EXPECT_THAT(seen_.finished, SizeIs(1));
}

TEST_F(FinishingTest, WaitsNoLongerThanItsPatience) {
  Watch(Level::kObjects);
  Start(&script_);
  MapLibrary(&script_);
  script_.Exit(600);
  PassTime(600 + kPatience - 1);
  EXPECT_THAT(seen_.finished, IsEmpty());
  PassTime(600 + kPatience);
  ASSERT_THAT(seen_.finished, SizeIs(1));
  AnswerLibrary();
  PassTime(600 + 2 * kPatience);
  EXPECT_THAT(seen_.finished, SizeIs(1));
}

TEST_F(FinishingTest, WhatIsToldWithoutItsFactsIsCounted) {
  Watch(Level::kObjects);
  Start(&script_);
  MapLibrary(&script_);
  script_.Exit(600);
  EXPECT_EQ(model_.delivery().hurried(), 0u);
  PassTime(600 + kPatience);
  EXPECT_EQ(model_.delivery().hurried(), 1u);
  EXPECT_EQ(model_.delivery().told(), 1u);
}

TEST_F(FinishingTest, WhenTooManyWaitTheFirstIsToldAsItIs) {
  ModelOptions options = Options();
  options.max_open_startups = 2;
  StartupModel model(options, &seen_, &seen_);
  model.SetWatch(0, {.level = Level::kObjects, .until_exit = true});
  for (uint32_t pid = 1; pid <= 3; ++pid) {
    Script script(&model, pid);
    Start(&script);
    MapLibrary(&script);
    script.Exit(600);
  }
  ASSERT_THAT(seen_.finished, SizeIs(1));
  EXPECT_EQ(Last().process.pid, 1u);
  EXPECT_EQ(model.delivery().hurried(), 1u);
}

TEST_F(FinishingTest, AFileThatTheProcessTookWithItIsAskedForOnBehalfOfAnother) {
  Watch(Level::kObjects);
  Start(&script_);
  MapLibrary(&script_);
  Script other(&model_, 43);
  Start(&other);
  MapLibrary(&other);
  MapLibrary(&other);  // no reason to ask it twice
  script_.Exit(600);
  seen_.requests.clear();
  AnswerLibrary("the process was gone before its file was opened");
  EXPECT_THAT(seen_.finished, IsEmpty());
  ASSERT_THAT(seen_.requests, SizeIs(1));
  EXPECT_EQ(seen_.requests[0].pid, 43u);
  EXPECT_EQ(seen_.requests[0].file, kLibc);
  AnswerLibrary();
  ASSERT_THAT(seen_.finished, SizeIs(1));
  for (const MappedObject& object : Last().objects) {
    EXPECT_EQ(object.facts == nullptr ? "" : object.facts->soname,
              object.file == kLibc ? "libc.so.6" : "");
  }
  EXPECT_THAT(seen_.requests, SizeIs(1));
}

TEST_F(FinishingTest, WhenNobodyElseHasTheFileTheFailureIsTheAnswer) {
  Watch(Level::kObjects);
  Start(&script_);
  MapLibrary(&script_);
  Script other(&model_, 43);
  Start(&other);
  MapLibrary(&other);
  script_.Exit(600);
  seen_.requests.clear();
  AnswerLibrary("gone");
  AnswerLibrary("gone");
  EXPECT_THAT(seen_.finished, SizeIs(1));
  EXPECT_THAT(seen_.requests, SizeIs(1));
}

TEST_F(FinishingTest, AFileThatCouldNotBeAskedForIsCountedAndAskedForAgain) {
  Watch(Level::kObjects);
  Start(&script_);
  seen_.takes_requests = false;
  MapLibrary(&script_);
  script_.Exit(600);
  EXPECT_THAT(seen_.finished, SizeIs(1));  // there is nothing to wait for
  EXPECT_THAT(seen_.lost, ElementsAre(std::pair(LossStage::kImages, uint64_t{1})));
  EXPECT_EQ(model_.stats().files_not_requested, 1u);
  seen_.takes_requests = true;
  seen_.requests.clear();
  Script other(&model_, 43);
  Start(&other);
  MapLibrary(&other);
  EXPECT_THAT(seen_.requests, SizeIs(1));
}

TEST_F(FinishingTest, ATotalNeedsNoFacts) {
  Watch(Level::kPhases);
  Start(&script_);
  MapLibrary(&script_);
  script_.Exit(600);
  EXPECT_THAT(seen_.finished, SizeIs(1));
}

TEST_F(FinishingTest, FactsOfFilesItDoesNotMapAreNotItsOwn) {
  Watch(Level::kObjects);
  Script other(&model_, 43);
  Start(&other);
  MapLibrary(&other);
  Start(&script_);
  script_.Exit(600);
  EXPECT_THAT(seen_.finished, SizeIs(1));
}

TEST_F(FinishingTest, WhenItsWatchIsClearedItIsToldAtOnce) {
  Watch(Level::kObjects);
  Start(&script_);
  MapLibrary(&script_);
  script_.Exit(600);
  model_.ClearWatch(0);
  ASSERT_THAT(seen_.finished, SizeIs(1));
  EXPECT_EQ(seen_.finished[0].first, 1u);
}

TEST_F(FinishingTest, WhenAnotherWatchRemainsItGoesOnWaiting) {
  Watch(Level::kObjects, true, 0);
  Watch(Level::kObjects, true, 1);
  Start(&script_, /*mask=*/3);
  MapLibrary(&script_);
  script_.Exit(600);
  model_.ClearWatch(0);
  EXPECT_THAT(seen_.finished, IsEmpty());
  AnswerLibrary();
  ASSERT_THAT(seen_.finished, SizeIs(1));
  EXPECT_EQ(seen_.finished[0].first, 2u);  // slot 0 may be another's by now
}

TEST_F(FinishingTest, AtTheEndEverythingIsTold) {
  Watch(Level::kObjects);
  Start(&script_);
  MapLibrary(&script_);
  script_.Exit(600);
  Script other(&model_, 43);
  Start(&other);
  model_.Finish();
  EXPECT_THAT(seen_.finished, SizeIs(2));
  EXPECT_EQ(model_.open_startups(), 0u);
}

TEST_F(FinishingTest, SymbolsArePutIntoTheTimeline) {
  Watch(Level::kPages);
  seen_.answers_symbols = true;
  Start(&script_);
  script_.Fault(200, 0x403010).Fault(210, 0x403020).Exit(600);
  EXPECT_THAT(seen_.finished, IsEmpty());
  ASSERT_THAT(seen_.symbol_requests, SizeIs(1));
  const SymbolRequest& request = seen_.symbol_requests[0];
  EXPECT_EQ(request.file, kExecutable);
  EXPECT_EQ(request.path, "/usr/bin/hello");
  EXPECT_EQ(request.pid, 42u);
  EXPECT_THAT(request.file_offsets, ElementsAre(0x1000, 0x1050));  // once each, ascending
  AnswerSymbols(kExecutable, {{0x1000, "_start"}, {0x1050, "frob"}});
  ASSERT_THAT(seen_.finished, SizeIs(1));
  EXPECT_THAT(Functions(Last()), ElementsAre("frob", "_start", "_start"));
}

TEST_F(FinishingTest, AFunctionIsNamedOnce) {
  Watch(Level::kPages);
  seen_.answers_symbols = true;
  Start(&script_);
  script_.Fault(200, 0x403010).Exit(600);
  AnswerSymbols(kExecutable, {{0x1000, "frob"}, {0x1050, "frob"}});
  EXPECT_THAT(Functions(Last()), ElementsAre("frob", "frob"));
  EXPECT_THAT(Last().timeline->symbols, ElementsAre("frob"));
}

TEST_F(FinishingTest, UnknownFunctionsStayUnknown) {
  Watch(Level::kPages);
  seen_.answers_symbols = true;
  Start(&script_);
  script_.Fault(200, 0x403010).Exit(600);
  AnswerSymbols(kExecutable, {{0x1000, ""}, {0x1050, "frob"}});
  EXPECT_THAT(Functions(Last()), ElementsAre("frob", "-"));
}

TEST_F(FinishingTest, AFileThatCannotBeOpenedHasNoSymbolsAndIsNotWaitedFor) {
  EndFirstAtPages();
  AnswerSymbols(kExecutable, {});
  ASSERT_THAT(seen_.finished, SizeIs(1));
  EXPECT_THAT(Functions(Last()), ElementsAre("-"));
}

TEST_F(FinishingTest, SymbolsOfAnotherFileAreNotItsAnswer) {
  EndFirstAtPages();
  AnswerSymbols(kLibc, {{0x1050, "wrong"}});
  EXPECT_THAT(seen_.finished, IsEmpty());
  PassTime(600 + kPatience);
  EXPECT_THAT(Functions(Last()), ElementsAre("-"));
}

TEST_F(FinishingTest, WhenTheProberIsBusySymbolsAreNotWaitedFor) {
  Watch(Level::kPages);
  seen_.answers_symbols = false;
  Start(&script_);
  script_.Exit(600);
  EXPECT_THAT(seen_.symbol_requests, SizeIs(1));
  EXPECT_THAT(seen_.finished, SizeIs(1));
}

TEST_F(FinishingTest, AtLevelObjectsNoSymbolsAreAskedFor) {
  Watch(Level::kObjects);
  seen_.answers_symbols = true;
  Start(&script_);
  script_.Exit(600);
  EXPECT_THAT(seen_.finished, SizeIs(1));
  EXPECT_THAT(seen_.symbol_requests, IsEmpty());
}

TEST_F(FinishingTest, WhatWasLookedUpIsNotAskedForAgain) {
  EndFirstAtPages();
  Script other(&model_, 43);
  AnswerSymbols(kExecutable, {{0x1050, "frob"}});
  Start(&other);
  other.Exit(610);
  ASSERT_THAT(seen_.finished, SizeIs(2));
  EXPECT_THAT(Functions(Last()), ElementsAre("frob"));
  EXPECT_THAT(seen_.symbol_requests, SizeIs(1));
}

TEST_F(FinishingTest, AFunctionThatHasNoNameIsNotAskedForAgain) {
  EndFirstAtPages();
  Script other(&model_, 43);
  AnswerSymbols(kExecutable, {{0x1050, ""}});
  Start(&other);
  other.Exit(610);
  EXPECT_THAT(seen_.finished, SizeIs(2));
  EXPECT_THAT(seen_.symbol_requests, SizeIs(1));
}

TEST_F(FinishingTest, OnlyWhatWasNotLookedUpIsAskedFor) {
  EndFirstAtPages();
  Script other(&model_, 43);
  AnswerSymbols(kExecutable, {{0x1050, "frob"}});
  Start(&other);
  other.Fault(200, 0x403010).Exit(610);
  ASSERT_THAT(seen_.symbol_requests, SizeIs(2));
  EXPECT_THAT(seen_.symbol_requests[1].file_offsets, ElementsAre(0x1000));
  AnswerSymbols(kExecutable, {{0x1000, "_start"}});
  EXPECT_THAT(Functions(Last()), ElementsAre("frob", "_start"));
}

TEST_F(FinishingTest, AfterAFileChangedItsFunctionsAreAskedForAgain) {
  EndFirstAtPages();
  Script other(&model_, 43);
  AnswerSymbols(kExecutable, {{0x1050, "frob"}});
  ForgetFile(kExecutable);
  Start(&other);
  other.Exit(610);
  EXPECT_THAT(seen_.symbol_requests, SizeIs(2));
  AnswerSymbols(kExecutable, {{0x1050, "twiddle"}});
  EXPECT_THAT(Functions(Last()), ElementsAre("twiddle"));
}

TEST_F(FinishingTest, WhatWasLookedUpBeforeAFileChangedIsNotKept) {
  EndFirstAtPages();
  Script other(&model_, 43);
  ForgetFile(kExecutable);
  AnswerSymbols(kExecutable, {{0x1050, "frob"}});
  Start(&other);
  other.Exit(610);
  EXPECT_THAT(seen_.symbol_requests, SizeIs(2));
}

// Two processes run the same program, and fault at different places of it.
TEST_F(FinishingTest, EachStartupWaitsForTheSymbolsThatItAskedFor) {
  EndFirstAtPages();
  Script other(&model_, 43);
  Start(&other);
  other.Fault(200, 0x403010).Fault(220, kEntryAddress + 0x700, 5, true).Exit(610);
  EXPECT_THAT(seen_.symbol_requests, SizeIs(2));
  AnswerSymbols(kExecutable, {{0x1050, "frob"}});
  ASSERT_THAT(seen_.finished, SizeIs(1));
  EXPECT_EQ(Last().process.pid, 42u);
  AnswerSymbols(kExecutable, {{0x1000, "_start"}, {0x1050, "frob"}, {0x1700, "late"}});
  ASSERT_THAT(seen_.finished, SizeIs(2));
  EXPECT_EQ(Last().process.pid, 43u);
  EXPECT_THAT(Functions(Last()), ElementsAre("frob", "_start", "late"));
}

TEST_F(FinishingTest, AnAnswerOfNothingAnswersOneRequest) {
  Watch(Level::kPages);
  seen_.answers_symbols = true;
  Script other(&model_, 43);
  for (Script* script : {&script_, &other}) {
    Start(script);
    script->Exit(600);
  }
  AnswerSymbols(kExecutable, {});  // the first one's process was gone
  EXPECT_THAT(seen_.finished, SizeIs(1));
  AnswerSymbols(kExecutable, {{0x1050, "frob"}});
  ASSERT_THAT(seen_.finished, SizeIs(2));
  EXPECT_THAT(Functions(Last()), ElementsAre("frob"));
}

TEST_F(FinishingTest, WhatIsReachedIsToldBeforeTheEndHoweverLongItWaits) {
  Watch(Level::kPages, /*until_exit=*/false, 0);
  Watch(Level::kPages, /*until_exit=*/true, 1);
  seen_.answers_symbols = true;
  Start(&script_, /*mask=*/3);
  script_.Mark(200, MarkKind::kMain, kExecutable);
  seen_.answers_symbols = false;  // busy by now
  script_.Exit(300);
  EXPECT_THAT(seen_.order, IsEmpty());
  AnswerSymbols(kExecutable, {{0x1050, "frob"}});
  EXPECT_THAT(seen_.order, ElementsAre("reached 1", "finished 2"));
}

TEST_F(FinishingTest, WhenPatienceEndsTheOrderStands) {
  Watch(Level::kPages, false, 0);
  Watch(Level::kPages, true, 1);
  seen_.answers_symbols = true;
  Start(&script_, 3);
  script_.Mark(200, MarkKind::kMain, kExecutable);
  script_.Exit(300);
  model_.ClearWatch(1);
  model_.Finish();
  EXPECT_THAT(seen_.order.front(), "reached 1");
  EXPECT_THAT(seen_.order, SizeIs(2));
}

TEST_F(FinishingTest, PhasesAreToldJustBeforeTheirStartup) {
  Watch(Level::kObjects);
  Start(&script_);
  MapLibrary(&script_);
  script_.Exit(600);
  EXPECT_THAT(seen_.slices, IsEmpty());
  AnswerLibrary();
  EXPECT_THAT(seen_.slices, SizeIs(Last().phases.size()));
}

TEST_F(FinishingTest, LoaderEventsComeAfterTheStartupTheyFollow) {
  Watch(Level::kPages, /*until_exit=*/false, 0, /*loader_events=*/true);
  seen_.answers_symbols = true;
  Start(&script_);
  script_.Mark(200, MarkKind::kMain, kExecutable);
  MarkEvent dlopen;
  dlopen.kind = MarkKind::kDlopen;
  dlopen.text = "libx.so";
  script_.Send(300, dlopen).Exit(400);
  EXPECT_THAT(seen_.order, IsEmpty());
  AnswerSymbols(kExecutable, {{0x1050, "frob"}});
  EXPECT_THAT(seen_.order, ElementsAre("finished 1", "loaded libx.so"));
}

TEST_F(FinishingTest, TheTimelineIsBoundedAndTheRestCounted) {
  ModelOptions options = Options();
  options.facts_patience_ns = 0;
  options.max_timeline = 10;
  StartupModel model(options, &seen_, &seen_);
  model.SetWatch(0, {.level = Level::kPages, .until_exit = true});
  Script script(&model);
  Start(&script);
  for (uint64_t i = 0; i < 50; ++i) script.Fault(200 + i, 0x403010);
  script.Exit(600);
  const Timeline& timeline = *Last().timeline;
  EXPECT_THAT(timeline.entries, SizeIs(10));
  // 4 mappings, 51 faults.
  EXPECT_EQ(timeline.omitted, 45u);
}

TEST_F(FinishingTest, WhatWasNotKeptIsOmittedFromTheTimelineToo) {
  ModelOptions options = Options();
  options.facts_patience_ns = 0;
  options.evidence.faults = 10;
  StartupModel model(options, &seen_, &seen_);
  model.SetWatch(0, {.level = Level::kPages, .until_exit = true});
  Script script(&model);
  Start(&script);
  for (uint64_t i = 0; i < 50; ++i) script.Fault(200 + i, 0x403010);
  script.Exit(600);
  EXPECT_EQ(Last().timeline->omitted, 41u);
}

}  // namespace
}  // namespace startscope
