// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace startscope {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <typename Options>
Options Parsed(const std::vector<std::string>& arguments) {
  const auto result = ParseArguments(arguments);
  if (const auto* stop = std::get_if<ParseStop>(&result)) {
    ADD_FAILURE() << stop->text;
    return {};
  }
  const auto* options = std::get_if<Options>(&std::get<ParsedCommand>(result));
  if (options == nullptr) {
    ADD_FAILURE() << "another command";
    return {};
  }
  return *options;
}

ParseStop Stopped(const std::vector<std::string>& arguments) {
  const auto result = ParseArguments(arguments);
  const auto* stop = std::get_if<ParseStop>(&result);
  if (stop == nullptr) {
    ADD_FAILURE() << "was accepted";
    return {};
  }
  return *stop;
}

TEST(Arguments, RunTakesEverythingAfterTheDashes) {
  const auto run = Parsed<RunOptions>({"run", "-n", "3", "--", "ls", "-l", "--until", "--"});
  EXPECT_EQ(run.runs, 3u);
  EXPECT_THAT(run.command, ElementsAre("ls", "-l", "--until", "--"));
  EXPECT_EQ(run.measure.until, startscope::v1::UNTIL_MAIN);
}

TEST(Arguments, WhatToMeasureBeyondTheLevel) {
  const auto plain = Parsed<RunOptions>({"run", "--", "ls"}).measure;
  EXPECT_FALSE(plain.waits || plain.syscalls || plain.samples || plain.loader_events ||
               plain.timeline);
  const auto all =
      Parsed<WatchOptions>({"watch", "--waits", "--syscalls", "--samples", "--loader-events"})
          .measure;
  EXPECT_TRUE(all.waits && all.syscalls && all.samples && all.loader_events);
  EXPECT_EQ(all.level, startscope::v1::LEVEL_PHASES);
}

TEST(Arguments, ViewsAreOfOneRunWithObjects) {
  const auto run =
      Parsed<RunOptions>({"run", "--tree", "--why", "libz.so.1", "--link", "--", "ls"});
  EXPECT_TRUE(run.views.tree && run.views.link);
  EXPECT_EQ(run.views.why, "libz.so.1");
  EXPECT_EQ(Parsed<ShowOptions>({"show", "--why", "libz.so.1", "last"}).views.why, "libz.so.1");
  EXPECT_THAT(Stopped({"run", "--tree", "--level", "phases", "--", "ls"}).text,
              HasSubstr("--level objects"));
  EXPECT_EQ(Stopped({"run", "--link", "-n", "3", "--", "ls"}).exit_code, kExitUsage);
}

TEST(Arguments, PeopleAreToldWhatAStartIsStuckInAndProgramsOnRequest) {
  EXPECT_EQ(Parsed<WatchOptions>({"watch"}).measure.stuck_after_s, 2.0);
  EXPECT_EQ(Parsed<RunOptions>({"run", "--", "ls"}).measure.stuck_after_s, 2.0);
  EXPECT_FALSE(Parsed<WatchOptions>({"watch", "--format", "json"}).measure.stuck_after_s);
  EXPECT_FALSE(Parsed<WatchOptions>({"watch", "--until", "exit"}).measure.stuck_after_s);
  EXPECT_FALSE(Parsed<WatchOptions>({"watch", "--stuck-after", "0"}).measure.stuck_after_s);
  EXPECT_EQ(Parsed<WatchOptions>({"watch", "--format", "json", "--stuck-after", "0.5"})
                .measure.stuck_after_s,
            0.5);
}

TEST(Arguments, ATimelineIsOfLevelPages) {
  EXPECT_EQ(Parsed<RunOptions>({"run", "--timeline", "--", "ls"}).measure.level,
            startscope::v1::LEVEL_PAGES);
  const auto limited = Parsed<WatchOptions>({"watch", "--timeline-limit", "7"}).measure;
  EXPECT_EQ(limited.level, startscope::v1::LEVEL_PAGES);
  EXPECT_EQ(limited.timeline_limit, 7u);
  for (const char* bad : {"0", "262145", "-1", "many"}) {
    const ParseStop stop = Stopped({"run", "--timeline-limit", bad, "--", "ls"});
    EXPECT_EQ(stop.exit_code, kExitUsage);
    EXPECT_THAT(stop.text, HasSubstr("--timeline-limit"));
    EXPECT_THAT(stop.text, HasSubstr(bad));
  }
}

TEST(Arguments, ATimelineOfALowerLevelOrOfManyRunsIsAContradiction) {
  EXPECT_THAT(Stopped({"run", "--timeline", "--level", "objects", "--", "ls"}).text,
              HasSubstr("--level pages"));
  EXPECT_EQ(Stopped({"watch", "--timeline-limit", "7", "--level", "phases"}).exit_code, kExitUsage);
  EXPECT_THAT(Stopped({"run", "-n", "2", "--timeline", "--", "ls"}).text,
              HasSubstr("--format json"));
  EXPECT_TRUE(Parsed<RunOptions>({"run", "-n", "2", "--timeline", "--format", "json", "--", "ls"})
                  .measure.timeline);
}

TEST(Arguments, AnUnknownChoiceIsAnsweredWithTheKnownOnes) {
  const ParseStop stop = Stopped({"run", "--level", "bytes", "--", "ls"});
  EXPECT_EQ(stop.exit_code, kExitUsage);
  EXPECT_THAT(stop.text, HasSubstr("--level: 'bytes' is none of phases, objects, pages"));
}

TEST(Arguments, AColdRunWantsToKnowWhatItWaitsFor) {
  const auto cold = Parsed<RunOptions>({"run", "--cold", "--", "ls"});
  EXPECT_TRUE(cold.cold && cold.measure.waits);
  EXPECT_FALSE(cold.drop_caches);
  EXPECT_TRUE(Parsed<RunOptions>({"run", "--drop-caches", "--", "ls"}).measure.waits);
  EXPECT_EQ(Stopped({"watch", "--cold"}).exit_code, kExitUsage);
}

TEST(Arguments, RunWorksWithoutTheDashes) {
  const auto run = Parsed<RunOptions>({"run", "--until", "exit", "ls", "-l", "-n", "5"});
  EXPECT_THAT(run.command, ElementsAre("ls", "-l", "-n", "5"));
  EXPECT_EQ(run.runs, 1u);
  EXPECT_EQ(run.measure.until, startscope::v1::UNTIL_EXIT);
}

TEST(Arguments, DashesAfterTheCommandsNameBelongToIt) {
  EXPECT_THAT(Parsed<RunOptions>({"run", "git", "log", "--", "file"}).command,
              ElementsAre("git", "log", "--", "file"));
}

TEST(Arguments, EmptyArgumentsOfTheCommandAreKept) {
  EXPECT_THAT(Parsed<RunOptions>({"run", "--", "echo", "", "a b"}).command,
              ElementsAre("echo", "", "a b"));
}

TEST(Arguments, UnknownOptionOfRunIsAUsageErrorThatNamesIt) {
  const ParseStop stop = Stopped({"run", "--bogus", "--", "ls"});
  EXPECT_EQ(stop.exit_code, kExitUsage);
  EXPECT_THAT(stop.text, HasSubstr("--bogus"));
  EXPECT_THAT(stop.text, HasSubstr("startscope run --help"));
}

TEST(Arguments, BadValuesAreNamed) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"run", "--until", "lunch", "--", "ls"},
           {"run", "--runs", "0", "--", "ls"},
           {"run", "--deadline", "4000", "--", "ls"},
           {"watch", "--exe", "relative"},
           {"watch", "--comm", "longer-than-fifteen"},
           {"watch", "--uid", "root"},
           {"list", "--limit", "-1"},
           {"status", "--format", "xml"},
       }) {
    const ParseStop stop = Stopped(arguments);
    EXPECT_EQ(stop.exit_code, kExitUsage) << arguments[1];
    EXPECT_THAT(stop.text, HasSubstr(arguments[1]));
  }
}

TEST(Arguments, RunWithoutACommandIsAUsageError) {
  EXPECT_EQ(Stopped({"run"}).exit_code, kExitUsage);
  EXPECT_EQ(Stopped({"run", "--"}).exit_code, kExitUsage);
}

TEST(Arguments, NoSubcommandPrintsTheHelpAsAnError) {
  EXPECT_EQ(Stopped({}).exit_code, kExitUsage);
  EXPECT_EQ(Stopped({"frobnicate"}).exit_code, kExitUsage);
}

TEST(Arguments, HelpIsNoError) {
  const ParseStop all = Stopped({"--help"});
  EXPECT_EQ(all.exit_code, kExitOk);
  EXPECT_THAT(all.text, HasSubstr("Examples:"));
  const ParseStop run = Stopped({"run", "--help"});
  EXPECT_EQ(run.exit_code, kExitOk);
  EXPECT_THAT(run.text, HasSubstr("run [OPTIONS] -- COMMAND"));
}

TEST(Arguments, HelpAmongTheCommandsArgumentsIsNotOurs) {
  EXPECT_THAT(Parsed<RunOptions>({"run", "--", "ls", "--help"}).command,
              ElementsAre("ls", "--help"));
}

TEST(Arguments, VersionIsOneLine) {
  const ParseStop stop = Stopped({"--version"});
  EXPECT_EQ(stop.exit_code, kExitOk);
  EXPECT_THAT(stop.text, testing::MatchesRegex("startscope [0-9.]+\n"));
}

TEST(Arguments, CommonOptionsMayStandBeforeOrAfterTheSubcommand) {
  EXPECT_EQ(Parsed<StatusOptions>({"--address", "unix:///a", "status"}).common.address,
            "unix:///a");
  const auto run = Parsed<RunOptions>({"--format", "json", "run", "--address", "unix:///b", "ls"});
  EXPECT_EQ(run.common.address, "unix:///b");
  EXPECT_EQ(run.common.format, Format::kJson);
}

TEST(Arguments, RepeatedFiltersAccumulate) {
  const auto watch =
      Parsed<WatchOptions>({"watch", "--exe", "/bin/a", "--exe", "/b/*", "--uid", "0", "--pid", "7",
                            "--cgroup", "system.slice", "--comm", "x"});
  EXPECT_THAT(watch.filter.executable(), ElementsAre("/bin/a", "/b/*"));
  EXPECT_THAT(watch.filter.uid(), ElementsAre(0u));
  EXPECT_THAT(watch.filter.pid(), ElementsAre(7u));
  EXPECT_THAT(watch.filter.cgroup_path(), ElementsAre("system.slice"));
  EXPECT_THAT(watch.filter.comm(), ElementsAre("x"));
}

TEST(Arguments, WatchDefaultsToAllStartsAtTheCheapestLevel) {
  const auto watch = Parsed<WatchOptions>({"watch"});
  EXPECT_EQ(watch.filter.ByteSizeLong(), 0u);
  EXPECT_EQ(watch.measure.level, startscope::v1::LEVEL_PHASES);
  EXPECT_FALSE(watch.limit.has_value());
  EXPECT_FALSE(watch.duration_s.has_value());
}

TEST(Arguments, ShowNeedsAnId) {
  EXPECT_EQ(Stopped({"show"}).exit_code, kExitUsage);
  EXPECT_EQ(Parsed<ShowOptions>({"show", "last"}).id, "last");
}

}  // namespace
}  // namespace startscope
