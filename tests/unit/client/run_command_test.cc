// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/unit/client/client_program.h"
#include "tests/unit/client/fake_daemon.h"

namespace startscope {
namespace {

using startscope::v1::Startup;
using startscope::v1::WatchStartupsRequest;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class RunCommand : public testing::Test {
 protected:
  // Answers a watch of one pid with one startup that ended with its process.
  void ServeOneStartup(startscope::v1::Outcome outcome = startscope::v1::OUTCOME_EXITED) {
    daemon_.service.on_watch = [this, outcome](grpc::ServerContext*,
                                               const WatchStartupsRequest& request,
                                               WatchWriter* writer) {
      request_ = request;
      writer->Write(ArmedMessage());
      Startup startup = SampleStartup(request.allow(0).pid(0), "/bin/sample");
      startup.set_outcome(outcome);
      startup.set_spawn_ns(12345);
      writer->Write(FinishedMessage(startup));
      WaitForCancel(writer);
      return grpc::Status::OK;
    };
  }
  ClientResult Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--address", daemon_.address(), "run"});
    return RunClient(arguments);
  }
  std::string Path(const std::string& name) const { return daemon_.directory() + "/" + name; }
  static std::string Read(const std::string& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }

  WatchStartupsRequest request_;
  FakeDaemon daemon_;
};

TEST_F(RunCommand, TextGoesToStderrAfterTheCommandsOwnOutput) {
  ServeOneStartup();
  const ClientResult result = Run({"--", "sh", "-c", "echo data; echo own >&2; exit 7"});
  EXPECT_EQ(result.code, 7) << result.err;
  EXPECT_EQ(result.out, "data\n");
  EXPECT_THAT(result.err, StartsWith("own\nsample (pid "));
  EXPECT_THAT(result.err, HasSubstr("kernel exec"));
}

TEST_F(RunCommand, JsonKeepsStdoutPureData) {
  ServeOneStartup();
  const ClientResult result = Run({"--format", "json", "--", "sh", "-c", "echo data"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.err, "data\n");
  EXPECT_THAT(result.out, StartsWith("{\"startup_id\":"));
  EXPECT_EQ(result.out.find('\n'), result.out.size() - 1);
}

TEST_F(RunCommand, AnOutputFileLeavesTheCommandsStdoutAlone) {
  ServeOneStartup();
  const std::string file = Path("result");
  const ClientResult result =
      Run({"--format", "json", "--output", file, "--", "sh", "-c", "echo data"});
  EXPECT_EQ(result.out, "data\n");
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(Read(file), StartsWith("{\"startup_id\":"));
}

TEST_F(RunCommand, AsksForTheChildItMadeAndPreparesItsExecutable) {
  ServeOneStartup();
  const std::string file = Path("pid");
  Run({"--until", "exit", "--precision", "unperturbed", "--deadline", "1.5", "--", "sh", "-c",
       "echo $$ > " + file});
  EXPECT_EQ(std::to_string(request_.allow(0).pid(0)) + "\n", Read(file));
  EXPECT_THAT(request_.prepare_executables(), testing::ElementsAre("/usr/bin/sh"));
  EXPECT_EQ(request_.until(), startscope::v1::UNTIL_EXIT);
  EXPECT_EQ(request_.precision(), startscope::v1::PRECISION_UNPERTURBED);
  EXPECT_EQ(request_.level(), startscope::v1::LEVEL_OBJECTS);
  EXPECT_EQ(request_.deadline().seconds(), 1);
  EXPECT_EQ(request_.deadline().nanos(), 500'000'000);
}

TEST_F(RunCommand, ExecutesNothingBeforeTheProbesAreArmed) {
  const std::string mark = Path("mark");
  std::atomic<bool> early = false;
  daemon_.service.on_watch = [&](grpc::ServerContext*, const WatchStartupsRequest& request,
                                 WatchWriter* writer) {
    const std::string proc = "/proc/" + std::to_string(request.allow(0).pid(0)) + "/comm";
    early = std::filesystem::exists(mark) || Read(proc) == "touch\n";
    writer->Write(ArmedMessage());
    Startup startup = SampleStartup(request.allow(0).pid(0), "/bin/touch");
    startup.set_outcome(startscope::v1::OUTCOME_EXITED);
    writer->Write(FinishedMessage(startup));
    WaitForCancel(writer);
    return grpc::Status::OK;
  };
  EXPECT_EQ(Run({"--", "touch", mark}).code, 0);
  EXPECT_FALSE(early);
  EXPECT_TRUE(std::filesystem::exists(mark));
}

TEST_F(RunCommand, AtLevelFunctionsTheDaemonLearnsWhatWillBeLoaded) {
  WatchStartupsRequest seen;
  daemon_.service.on_watch = [&](grpc::ServerContext*, const WatchStartupsRequest& request,
                                 WatchWriter* writer) {
    seen = request;
    writer->Write(ArmedMessage());
    Startup startup = SampleStartup(request.allow(0).pid(0), "/bin/true");
    startup.set_outcome(startscope::v1::OUTCOME_EXITED);
    auto* object = startup.add_objects();
    object->set_kind(startscope::v1::OBJECT_KIND_EXECUTABLE);
    object->set_path("/bin/true");
    startscope::v1::WatchStartupsResponse stuck;
    stuck.mutable_startup_stuck()->mutable_process()->set_executable("/bin/true");
    stuck.mutable_startup_stuck()->set_elapsed_ns(2'000'000'000);
    writer->Write(stuck);
    writer->Write(FinishedMessage(startup));
    WaitForCancel(writer);
    return grpc::Status::OK;
  };
  const ClientResult tree = Run({"--level", "functions", "--tree", "--", "true"});
  EXPECT_EQ(tree.code, 0) << tree.err;
  EXPECT_THAT(tree.err, HasSubstr("loaded\n"));
  EXPECT_THAT(tree.err, HasSubstr("starting for 2.00 s"));
  EXPECT_GT(seen.prepare_libraries_size(), 1);
  EXPECT_EQ(seen.level(), startscope::v1::LEVEL_FUNCTIONS);
  const ClientResult why = Run({"--why", "libx.so", "--", "true"});
  EXPECT_EQ(why.code, 125);
  EXPECT_THAT(why.err, HasSubstr("no object 'libx.so'"));
  EXPECT_EQ(seen.prepare_libraries_size(), 0);
}

TEST_F(RunCommand, ARefusedWatchExecutesNothing) {
  daemon_.service.on_watch = [](grpc::ServerContext*, const WatchStartupsRequest&, WatchWriter*) {
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "deadline: \x1b[31mtoo long");
  };
  const std::string mark = Path("mark");
  const ClientResult result = Run({"--", "touch", mark});
  EXPECT_EQ(result.code, 4);
  EXPECT_THAT(result.err, HasSubstr("too long"));
  EXPECT_THAT(result.err, HasSubstr("the command was not executed"));
  EXPECT_EQ(result.err.find('\x1b'), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(mark));
}

TEST_F(RunCommand, AWatchThatEndsBeforeTheStartExecutesNothing) {
  daemon_.service.on_watch = [](grpc::ServerContext*, const WatchStartupsRequest&, WatchWriter*) {
    return grpc::Status::OK;
  };
  const std::string mark = Path("mark");
  EXPECT_EQ(Run({"--", "touch", mark}).code, 4);
  EXPECT_FALSE(std::filesystem::exists(mark));
}

TEST_F(RunCommand, CommandKilledBySignal) {
  ServeOneStartup(startscope::v1::OUTCOME_KILLED);
  EXPECT_EQ(Run({"--", "sh", "-c", "kill -KILL $$"}).code, 128 + SIGKILL);
}

TEST_F(RunCommand, NotFoundAndNotExecutableAreToldBeforeAnyTracing) {
  std::atomic<bool> asked = false;
  daemon_.service.on_watch = [&](grpc::ServerContext*, const WatchStartupsRequest&, WatchWriter*) {
    asked = true;
    return grpc::Status::OK;
  };
  EXPECT_EQ(Run({"--", "no-such-command"}).code, 127);
  EXPECT_EQ(Run({"--", "/etc/passwd"}).code, 126);
  EXPECT_EQ(Run({"--", "/"}).code, 126);
  EXPECT_FALSE(asked);
}

TEST_F(RunCommand, ImagesOfAnExecChainAppearInOrder) {
  daemon_.service.on_watch = [](grpc::ServerContext*, const WatchStartupsRequest& request,
                                WatchWriter* writer) {
    writer->Write(ArmedMessage());
    Startup first = SampleStartup(request.allow(0).pid(0), "/bin/first");
    first.set_outcome(startscope::v1::OUTCOME_REPLACED);
    first.set_begin_boottime_ns(1);
    Startup second = SampleStartup(request.allow(0).pid(0), "/bin/second");
    second.set_outcome(startscope::v1::OUTCOME_EXITED);
    second.set_begin_boottime_ns(2);
    writer->Write(FinishedMessage(first));
    writer->Write(FinishedMessage(second));
    WaitForCancel(writer);
    return grpc::Status::OK;
  };
  const ClientResult result = Run({"--", "true"});
  EXPECT_EQ(result.code, 0);
  EXPECT_LT(result.err.find("first (pid"), result.err.find("second (pid"));
  EXPECT_NE(result.err.find("second (pid"), std::string::npos);
}

TEST_F(RunCommand, ManyRunsShareOneWatchAndEndInASummary) {
  const std::string fifo = Path("pids");
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  std::atomic<int> watches = 0;
  daemon_.service.on_watch = [&](grpc::ServerContext*, const WatchStartupsRequest& request,
                                 WatchWriter* writer) {
    ++watches;
    request_ = request;
    const UniqueFd pids(open(fifo.c_str(), O_RDWR | O_CLOEXEC));
    writer->Write(ArmedMessage());
    for (int run = 0; run < 4; ++run) {
      Startup startup = SampleStartup(std::stoul(ReadFifoLine(pids.get())), "/bin/sample");
      startup.set_outcome(startscope::v1::OUTCOME_EXITED);
      writer->Write(FinishedMessage(startup));
      // Another descendant, which is none of the runs.
      writer->Write(FinishedMessage(SampleStartup(1, "/bin/stranger")));
    }
    WaitForCancel(writer);
    return grpc::Status::OK;
  };
  const ClientResult result = Run({"-n", "4", "--", "sh", "-c", "echo noise; echo $$ > " + fifo});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(watches, 1);
  EXPECT_TRUE(request_.descendants_of_caller());
  EXPECT_EQ(request_.allow_size(), 0);
  EXPECT_EQ(request_.level(), startscope::v1::LEVEL_PHASES);
  EXPECT_THAT(result.err, HasSubstr("4 runs"));
  EXPECT_THAT(result.err, HasSubstr("median"));
  EXPECT_THAT(result.err, Not(HasSubstr("stranger")));
}

TEST_F(RunCommand, ShowOutputKeepsTheOutputOfManyRuns) {
  const std::string fifo = Path("pids");
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  daemon_.service.on_watch = [&](grpc::ServerContext*, const WatchStartupsRequest&,
                                 WatchWriter* writer) {
    const UniqueFd pids(open(fifo.c_str(), O_RDWR | O_CLOEXEC));
    writer->Write(ArmedMessage());
    for (int run = 0; run < 2; ++run) {
      Startup startup = SampleStartup(std::stoul(ReadFifoLine(pids.get())), "/bin/sample");
      startup.set_outcome(startscope::v1::OUTCOME_EXITED);
      writer->Write(FinishedMessage(startup));
    }
    WaitForCancel(writer);
    return grpc::Status::OK;
  };
  const ClientResult result =
      Run({"-n", "2", "--show-output", "--", "sh", "-c", "echo data; echo $$ > " + fifo});
  EXPECT_EQ(result.out, "data\ndata\n") << result.err;
}

TEST_F(RunCommand, AStartupThatNeverArrivesIsSaidAndIsAFailureOfOurs) {
  daemon_.service.on_watch = [](grpc::ServerContext*, const WatchStartupsRequest&,
                                WatchWriter* writer) {
    writer->Write(ArmedMessage());
    WaitForCancel(writer);
    return grpc::Status::OK;
  };
  const ClientResult result = Run({"--", "true"});
  EXPECT_EQ(result.code, 125);
  EXPECT_THAT(result.err, HasSubstr("did not report the start in 1 of 1 run"));
}

TEST_F(RunCommand, ADaemonThatDiesMeanwhileLeavesTheCommandAlone) {
  daemon_.service.on_watch = [this](grpc::ServerContext*, const WatchStartupsRequest&,
                                    WatchWriter* writer) {
    writer->Write(ArmedMessage());
    WaitForCancel(writer);
    return grpc::Status::OK;
  };
  const std::string fifo = Path("go");
  const std::string mark = Path("mark");
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  ClientProgram client({"--address", daemon_.address(), "run", "--", "sh", "-c",
                        "echo started; read go < " + fifo + "; touch " + mark});
  ASSERT_TRUE(client.WaitForOutput("started"));
  daemon_.CutConnections();
  std::ofstream(fifo) << "go\n";
  const ClientResult result = client.Finish();
  EXPECT_EQ(result.code, 125);
  EXPECT_THAT(result.err, HasSubstr("went away in the middle of the stream"));
  EXPECT_TRUE(std::filesystem::exists(mark));
}

TEST_F(RunCommand, ATerminationSignalIsPassedOnToTheCommand) {
  ServeOneStartup(startscope::v1::OUTCOME_KILLED);
  ClientProgram client(
      {"--address", daemon_.address(), "run", "--", "sh", "-c",
       "trap 'echo caught; exit 3' TERM; echo started; while :; do sleep 0.02; done"});
  ASSERT_TRUE(client.WaitForOutput("started"));
  client.Signal(SIGTERM);
  const ClientResult result = client.Finish();
  EXPECT_EQ(result.out, "started\ncaught\n");
  EXPECT_EQ(result.code, 3);
}

TEST_F(RunCommand, LossesAreTold) {
  daemon_.service.on_watch = [](grpc::ServerContext*, const WatchStartupsRequest& request,
                                WatchWriter* writer) {
    writer->Write(ArmedMessage());
    startscope::v1::WatchStartupsResponse lost;
    lost.mutable_records_lost()->set_stage(startscope::v1::LOSS_STAGE_KERNEL_RING);
    lost.mutable_records_lost()->set_count(5);
    lost.mutable_records_lost()->set_total(5);
    writer->Write(lost);
    Startup startup = SampleStartup(request.allow(0).pid(0), "/bin/sample");
    startup.set_outcome(startscope::v1::OUTCOME_EXITED);
    writer->Write(FinishedMessage(startup));
    WaitForCancel(writer);
    return grpc::Status::OK;
  };
  EXPECT_THAT(Run({"--", "true"}).err, HasSubstr("lost 5 records (kernel ring, 5 in all)"));
}

TEST_F(RunCommand, TheTimeItWasHeldBackIsNotReportedAsItsSpawn) {
  ServeOneStartup();
  EXPECT_THAT(Run({"--format", "json", "--", "true"}).out, Not(HasSubstr("spawn_ns")));
}

TEST_F(RunCommand, AnUnwritableResultIsKnownBeforeAnythingRuns) {
  const std::string mark = Path("mark");
  const ClientResult result = Run({"-o", "/no/such/directory/file", "--", "touch", mark});
  EXPECT_EQ(result.code, 125);
  EXPECT_FALSE(std::filesystem::exists(mark));
}

}  // namespace
}  // namespace startscope
