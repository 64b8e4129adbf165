// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/runtime_stages.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace startscope {
namespace {

constexpr uint64_t kBegin = 1'000'000;
constexpr uint64_t kShift = 0x555000000000;
constexpr uint32_t kImage = 3;

// Evidence of a program whose executable has the given init functions.
class RuntimeStagesTest : public ::testing::Test {
 protected:
  RuntimeStagesTest() {
    evidence_.pid = 42;
    evidence_.exec.begin_boottime_ns = kBegin;
    evidence_.exec_boottime_ns = kBegin + 10;
    evidence_.exec.at_entry = kShift + 0x1000;
    facts_->entry_address = 0x1000;
    facts_->language = Language::kGo;
    image_.image = kImage;
    image_.facts = facts_;
    images_.executable = &image_;
    end_.boottime_ns = kBegin + 10'000;
    startup_.level = Level::kFunctions;
    PhaseSlice slice;
    slice.phase = Phase::kRuntimeInit;
    slice.offset_ns = 20;
    slice.duration_ns = 9'980;
    startup_.phases.push_back(slice);
    MappedObject object;
    object.kind = ObjectKind::kExecutable;
    startup_.objects.push_back(object);
  }

  // An init function at `address`, marked four bytes into it.
  void Function(uint64_t address, const std::string& symbol, const std::string& unit,
                InitKind kind = InitKind::kGoPackage) {
    InitFunction function;
    function.kind = kind;
    function.address = address;
    function.symbol = symbol;
    function.unit = unit;
    function.rung = SiteRung::kGoTable;
    function.site.kind =
        kind == InitKind::kRuntimeStage ? MarkKind::kRustStage : MarkKind::kInitFunction;
    function.site.rung = SiteRung::kGoTable;
    function.site.address = address + 4;
    facts_->init_functions.push_back(function);
  }

  void Mark(uint64_t at, MarkKind kind, uint64_t address = 0, const Counters& now = {},
            uint32_t image = kImage) {
    Timed<MarkEvent> mark;
    mark.boottime_ns = kBegin + at;
    mark.tid = evidence_.pid;
    mark.value.kind = kind;
    mark.value.image = image;
    mark.value.ip = kShift + address + 4;
    mark.value.now = now;
    evidence_.marks.push_back(mark);
  }

  void Call(uint64_t at, uint32_t number, uint64_t arg0, uint64_t arg1, uint32_t tid = 42) {
    Timed<SyscallEvent> call;
    call.boottime_ns = kBegin + at + 1;
    call.tid = tid;
    call.value.entry_boottime_ns = kBegin + at;
    call.value.number = number;
    call.value.args[0] = arg0;
    call.value.args[1] = arg1;
    evidence_.calls.push_back(call);
  }

  const std::vector<InitCall>& Inits() {
    AddPackageInits(evidence_, images_, end_, &startup_);
    return startup_.objects[0].init_calls;
  }

  // "name@offset" of each sub-mark.
  std::vector<std::string> Stages(const StageSources& sources) {
    const BoundaryFinder finder(evidence_, images_, !sources.marks);
    AddRuntimeStages(evidence_, images_, end_, finder, sources, &startup_);
    std::vector<std::string> names;
    for (const SubMark& mark : startup_.phases[0].sub_marks) {
      names.push_back(mark.name + "@" + std::to_string(mark.offset_ns));
    }
    return names;
  }

  Evidence evidence_;
  std::shared_ptr<ImageFacts> facts_ = std::make_shared<ImageFacts>();
  KnownImage image_;
  StartupImages images_;
  End end_;
  Startup startup_;
};

TEST_F(RuntimeStagesTest, FunctionsOfOnePackageAreOneCall) {
  Function(0x2000, "a.init", "a");
  Function(0x2100, "a.init.0", "a");
  Function(0x2200, "b.init", "b");
  Mark(100, MarkKind::kInitFunction, 0x2000);
  Mark(150, MarkKind::kInitFunction, 0x2100);
  Mark(400, MarkKind::kInitFunction, 0x2200);
  Mark(450, MarkKind::kMain);
  ASSERT_EQ(Inits().size(), 2u);
  EXPECT_EQ(Inits()[0].unit, "a");
  EXPECT_EQ(Inits()[0].symbol, "a.init");
  EXPECT_EQ(Inits()[0].address, 0x2000u);
  EXPECT_EQ(Inits()[0].offset_ns, 100u);
  EXPECT_EQ(Inits()[0].duration_ns, 300u);
  EXPECT_EQ(Inits()[0].source, BoundarySource::kGoTableUprobe);
  EXPECT_EQ(Inits()[1].duration_ns, 50u);
}

TEST_F(RuntimeStagesTest, AFunctionEnteredAgainAfterItsStackGrewIsOneCall) {
  Function(0x2000, "a.init", "a");
  Mark(100, MarkKind::kInitFunction, 0x2000);
  Mark(110, MarkKind::kInitFunction, 0x2000);
  Mark(450, MarkKind::kMain);
  ASSERT_EQ(Inits().size(), 1u);
  EXPECT_EQ(Inits()[0].duration_ns, 350u);
}

TEST_F(RuntimeStagesTest, ThePackageThatWasInterruptedHasNoDuration) {
  Function(0x2000, "a.init", "a");
  Mark(100, MarkKind::kInitFunction, 0x2000);
  ASSERT_EQ(Inits().size(), 1u);
  EXPECT_EQ(Inits()[0].duration_ns, std::nullopt);
  EXPECT_EQ(Inits()[0].minor_faults, std::nullopt);
}

TEST_F(RuntimeStagesTest, TheRuntimesOwnEndEndsItsLastPackage) {
  Function(0x2000, "runtime.init", "runtime");
  Mark(100, MarkKind::kInitFunction, 0x2000);
  Mark(130, MarkKind::kInitEnd);
  Mark(900, MarkKind::kMain);
  ASSERT_EQ(Inits().size(), 1u);
  EXPECT_EQ(Inits()[0].duration_ns, 30u);
}

TEST_F(RuntimeStagesTest, CallsCarryFaultsAndBlockedTime) {
  Function(0x2000, "a.init", "a");
  Counters before;
  before.minor_faults = 10;
  before.major_faults = 2;
  before.off_cpu_ns = 1'000;
  before.run_delay_ns = 100;
  Counters after = before;
  after.minor_faults = 13;
  after.major_faults = 3;
  after.off_cpu_ns = 1'090;
  after.run_delay_ns = 130;
  Mark(100, MarkKind::kInitFunction, 0x2000, before);
  Mark(300, MarkKind::kMain, 0, after);
  ASSERT_EQ(Inits().size(), 1u);
  EXPECT_EQ(Inits()[0].minor_faults, 3u);
  EXPECT_EQ(Inits()[0].major_faults, 1u);
  EXPECT_EQ(Inits()[0].blocked_ns, 60u);
}

TEST_F(RuntimeStagesTest, MarksOfOtherFilesAndPlacesAreNoCalls) {
  Function(0x2000, "a.init", "a");
  Mark(100, MarkKind::kInitFunction, 0x2000, {}, kImage + 1);
  Mark(110, MarkKind::kInitFunction, 0x3000);
  EXPECT_TRUE(Inits().empty());
}

TEST_F(RuntimeStagesTest, WhatRunsAfterMainOrTheEndIsLeftOut) {
  Function(0x2000, "a.init", "a");
  Function(0x2100, "plugin.init", "plugin");
  Mark(100, MarkKind::kInitFunction, 0x2000);
  Mark(200, MarkKind::kMain);
  Mark(300, MarkKind::kInitFunction, 0x2100);
  EXPECT_EQ(Inits().size(), 1u);
}

TEST_F(RuntimeStagesTest, AWatchThatDidNotAskForFunctionsGetsNone) {
  startup_.level = Level::kPages;
  Function(0x2000, "a.init", "a");
  Mark(100, MarkKind::kInitFunction, 0x2000);
  EXPECT_TRUE(Inits().empty());
}

TEST_F(RuntimeStagesTest, CallsAreBounded) {
  Function(0x2000, "a.init", "a");
  Function(0x2100, "b.init", "b");
  for (uint64_t i = 0; i < kMaxInitFunctions + 6; ++i) {
    Mark(100 + i, MarkKind::kInitFunction, i % 2 == 0 ? 0x2000 : 0x2100);
  }
  EXPECT_EQ(Inits().size(), kMaxInitFunctions);
  EXPECT_EQ(startup_.objects[0].init_calls_omitted, 6u);
}

TEST_F(RuntimeStagesTest, StagesComeInOrderAndOnce) {
  Function(0x2000, "runtime.init", "runtime");
  Function(0x2100, "a.init", "a");
  Mark(100, MarkKind::kGoSchedinit);
  Mark(200, MarkKind::kGoRuntimeMain);
  Mark(210, MarkKind::kInitFunction, 0x2000);
  Mark(300, MarkKind::kInitEnd);
  Mark(320, MarkKind::kInitFunction, 0x2100);
  Mark(330, MarkKind::kInitFunction, 0x2100);
  const std::vector<std::string> expected = {"runtime.schedinit@100", "runtime.main@200",
                                             "runtime initialised@300",
                                             "package initialisation@320"};
  EXPECT_EQ(Stages({.marks = true}), expected);
}

TEST_F(RuntimeStagesTest, WithoutMarksThereAreNoStagesOfMarks) {
  Mark(100, MarkKind::kGoSchedinit);
  EXPECT_TRUE(Stages({.marks = false}).empty());
}

TEST_F(RuntimeStagesTest, StagesOfStdAreNamedByTheirFunctions) {
  Function(0x2000, "std::sys::unix::stack_overflow::imp::init", "std::rt: signal stack",
           InitKind::kRuntimeStage);
  Mark(100, MarkKind::kRustLangStart);
  Mark(150, MarkKind::kRustStage, 0x2000);
  EXPECT_EQ(Stages({.marks = true}),
            (std::vector<std::string>{"std::rt::lang_start@100", "std::rt: signal stack@150"}));
}

TEST_F(RuntimeStagesTest, StagesOfStdShowInItsSystemCalls) {
  startup_.runtime.language = Language::kRust;
  Call(100, SYS_prlimit64, 0, 3);  // libc's own, before std begins
  Call(200, SYS_poll, 0x7ffc0000, 3);
  Call(210, SYS_rt_sigaction, SIGPIPE, 0x7ffc0000);
  Call(230, SYS_prlimit64, 0, 3);
  Call(240, SYS_rt_sigaction, SIGSEGV, 0);  // only asks
  Call(250, SYS_sigaltstack, 0x7ffc0000, 0);
  Call(260, SYS_rt_sigaction, SIGSEGV, 0x7ffc0000);
  const std::vector<std::string> expected = {
      "std::rt: standard descriptors@200", "std::rt: SIGPIPE@210", "std::rt: stack bounds@230",
      "std::rt: signal stack@250", "std::rt: stack overflow handler@260"};
  EXPECT_EQ(Stages({.marks = false, .calls = true}), expected);
  EXPECT_EQ(startup_.phases[0].sub_marks[0].source, BoundarySource::kTracepoint);
}

TEST_F(RuntimeStagesTest, SystemCallsOfOtherLanguagesThreadsAndPhasesAreNoStages) {
  startup_.runtime.language = Language::kCOrCpp;
  Call(200, SYS_poll, 0x7ffc0000, 3);
  EXPECT_TRUE(Stages({.marks = false, .calls = true}).empty());
  startup_.runtime.language = Language::kRust;
  evidence_.calls.clear();
  Call(200, SYS_poll, 0x7ffc0000, 3, /*tid=*/43);
  Call(11'000, SYS_poll, 0x7ffc0000, 3);
  EXPECT_TRUE(Stages({.marks = false, .calls = true}).empty());
}

TEST_F(RuntimeStagesTest, AStageByMarkIsNotTakenFromASystemCallToo) {
  startup_.runtime.language = Language::kRust;
  Function(0x2000, "make_handler", "std::rt: signal stack", InitKind::kRuntimeStage);
  Mark(240, MarkKind::kRustStage, 0x2000);
  Call(200, SYS_poll, 0x7ffc0000, 3);
  Call(250, SYS_sigaltstack, 0x7ffc0000, 0);
  EXPECT_EQ(
      Stages({.marks = true, .calls = true}),
      (std::vector<std::string>{"std::rt: standard descriptors@200", "std::rt: signal stack@240"}));
}

}  // namespace
}  // namespace startscope
