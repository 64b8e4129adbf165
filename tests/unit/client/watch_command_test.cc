// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>

#include "absl/time/clock.h"
#include "tests/unit/client/client_program.h"
#include "tests/unit/client/fake_daemon.h"

namespace startscope {
namespace {

using startscope::v1::WatchStartupsRequest;
using startscope::v1::WatchStartupsResponse;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class WatchCommand : public testing::Test {
 protected:
  // Arms, delivers `startups` and keeps the stream open until the client goes.
  void Serve(int startups, std::vector<WatchStartupsResponse> others = {}) {
    daemon_.service.on_watch = [this, startups, others](grpc::ServerContext* context,
                                                        const WatchStartupsRequest& request,
                                                        WatchWriter* writer) {
      request_ = request;
      writer->Write(ArmedMessage());
      for (const auto& message : others) writer->Write(message);
      for (int i = 0; i < startups; ++i) {
        writer->Write(FinishedMessage(SampleStartup(100 + i, "/bin/sample")));
      }
      WatchStartupsResponse heartbeat;
      heartbeat.mutable_heartbeat()->set_startups_dropped(2);
      while (writer->Write(heartbeat)) absl::SleepFor(absl::Milliseconds(5));
      return grpc::Status::OK;
    };
  }
  std::vector<std::string> Arguments(std::vector<std::string> more) {
    more.insert(more.begin(), {"--address", daemon_.address(), "watch"});
    return more;
  }

  WatchStartupsRequest request_;
  FakeDaemon daemon_;
};

TEST_F(WatchCommand, PrintsOneLinePerStartupUpToTheLimit) {
  Serve(5);
  const ClientResult result = RunClient(Arguments({"--limit", "3"}));
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 4) << result.out;
  EXPECT_THAT(result.out, HasSubstr("loader bootstrap 67 %"));
  EXPECT_THAT(result.err, HasSubstr("3 startups"));
}

TEST_F(WatchCommand, FiltersReachTheDaemon) {
  Serve(1);
  const ClientResult result =
      RunClient(Arguments({"--limit", "1", "--exe", "/usr/*", "--uid", "7", "--descendants",
                           "--until", "exit", "--level", "objects"}));
  ASSERT_EQ(request_.allow_size(), 1);
  EXPECT_EQ(request_.allow(0).executable(0), "/usr/*");
  EXPECT_EQ(request_.allow(0).uid(0), 7u);
  EXPECT_TRUE(request_.descendants_of_caller());
  EXPECT_EQ(request_.until(), startscope::v1::UNTIL_EXIT);
  EXPECT_EQ(request_.level(), startscope::v1::LEVEL_OBJECTS);
}

TEST_F(WatchCommand, WithoutFiltersEverythingIsAskedFor) {
  Serve(1);
  EXPECT_EQ(RunClient(Arguments({"--limit", "1"})).code, 0);
  EXPECT_EQ(request_.allow_size(), 0);
}

TEST_F(WatchCommand, JsonIsOneStartupPerLineAndNothingElse) {
  Serve(2);
  const ClientResult result = RunClient(Arguments({"--limit", "2", "--format", "json"}));
  EXPECT_THAT(result.out, StartsWith("{\"startup_id\":\"100-5000-1\""));
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 2);
}

TEST_F(WatchCommand, VerboseShowsTheWholeBreakdown) {
  Serve(1);
  EXPECT_THAT(RunClient(Arguments({"--limit", "1", "--verbose"})).out,
              HasSubstr("where the time went"));
}

TEST_F(WatchCommand, AnInterruptEndsItInGoodOrderWithASummary) {
  Serve(1);
  ClientProgram client(Arguments({}));
  ASSERT_TRUE(client.WaitForOutput("/bin/sample"));
  client.Signal(SIGINT);
  const ClientResult result = client.Finish();
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.err, HasSubstr("1 startup"));
}

TEST_F(WatchCommand, TheDurationEndsIt) {
  Serve(0);
  EXPECT_EQ(RunClient(Arguments({"--duration", "0.05"})).code, 0);
}

TEST_F(WatchCommand, LossesArePrintedAndSummedUp) {
  WatchStartupsResponse lost;
  lost.mutable_records_lost()->set_stage(startscope::v1::LOSS_STAGE_SUBSCRIBER);
  lost.mutable_records_lost()->set_count(12);
  lost.mutable_records_lost()->set_total(40);
  Serve(1, {lost});
  const ClientResult result = RunClient(Arguments({"--limit", "1"}));
  EXPECT_THAT(result.err, HasSubstr("lost 12 startups (subscriber, 40 in all)"));
  EXPECT_THAT(result.err, HasSubstr("with losses"));
  EXPECT_THAT(result.out, Not(HasSubstr("lost")));
}

TEST_F(WatchCommand, WhatTheWatchWillLackIsSaidAtTheBegin) {
  daemon_.service.on_watch = [](grpc::ServerContext*, const WatchStartupsRequest&,
                                WatchWriter* writer) {
    WatchStartupsResponse armed = ArmedMessage();
    auto* degradation = armed.mutable_armed()->add_degradations();
    degradation->set_kind(startscope::v1::DEGRADATION_KIND_PROBE_UNAVAILABLE);
    degradation->set_detail("no page_fault_user here");
    writer->Write(armed);
    writer->Write(FinishedMessage(SampleStartup(1, "/bin/sample")));
    return grpc::Status::OK;
  };
  EXPECT_THAT(RunClient(Arguments({"--limit", "1"})).err, HasSubstr("no page_fault_user here"));
}

TEST_F(WatchCommand, ADaemonThatDiesIsAnErrorOfItsOwn) {
  Serve(1);
  ClientProgram client(Arguments({"--no-reconnect"}));
  ASSERT_TRUE(client.WaitForOutput("/bin/sample"));
  daemon_.CutConnections();
  const ClientResult result = client.Finish();
  EXPECT_EQ(result.code, 5);
  EXPECT_THAT(result.err, HasSubstr("went away in the middle of the stream"));
}

TEST_F(WatchCommand, ADaemonThatEndsTheWatchIsToldToo) {
  daemon_.service.on_watch = [](grpc::ServerContext*, const WatchStartupsRequest&,
                                WatchWriter* writer) {
    writer->Write(ArmedMessage());
    return grpc::Status::OK;
  };
  const ClientResult result = RunClient(Arguments({"--no-reconnect"}));
  EXPECT_EQ(result.code, 5);
  EXPECT_THAT(result.err, HasSubstr("ended the watch"));
}

TEST_F(WatchCommand, ADaemonThatComesBackIsAskedForTheRest) {
  std::atomic<int> streams{0};
  std::string token;
  daemon_.service.on_watch = [&](grpc::ServerContext*, const WatchStartupsRequest& request,
                                 WatchWriter* writer) {
    const int stream = ++streams;
    if (stream == 2) token = request.resume_token();
    writer->Write(ArmedMessage());
    WatchStartupsResponse gap;
    gap.mutable_resume_gap()->set_reason(startscope::v1::RESUME_GAP_REASON_RING_OVERRAN);
    gap.mutable_resume_gap()->set_matching(7);
    if (stream == 2) writer->Write(gap);
    WatchStartupsResponse finished = FinishedMessage(SampleStartup(100, "/bin/sample"));
    finished.set_resume_token("position");
    writer->Write(finished);
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the daemon is stopping");
  };
  const ClientResult result = RunClient(Arguments({"--limit", "2", "--format", "json"}));
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(token, "position");
  EXPECT_THAT(result.err, HasSubstr("trying again"));
  EXPECT_THAT(result.err, HasSubstr("missed 7 startups of this watch"));
  EXPECT_THAT(result.out, HasSubstr("{\"resume_gap\":{"));
}

TEST_F(WatchCommand, AnInterruptWhileTheDaemonIsAwayIsALostConnection) {
  std::atomic<int> streams{0};
  daemon_.service.on_watch = [&](grpc::ServerContext*, const WatchStartupsRequest&,
                                 WatchWriter* writer) {
    if (++streams > 1) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "not yet");
    writer->Write(ArmedMessage());
    writer->Write(FinishedMessage(SampleStartup(100, "/bin/sample")));
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the daemon is stopping");
  };
  ClientProgram client(Arguments({}));
  ASSERT_TRUE(client.WaitForOutput("/bin/sample"));
  while (streams < 2) absl::SleepFor(absl::Milliseconds(1));
  client.Signal(SIGINT);
  const ClientResult result = client.Finish();
  EXPECT_EQ(result.code, 5);
  EXPECT_EQ(result.err.find("trying again"), result.err.rfind("trying again"));
}

TEST_F(WatchCommand, ARefusalGivesTheDaemonsReason) {
  daemon_.service.on_watch = [](grpc::ServerContext*, const WatchStartupsRequest&, WatchWriter*) {
    return grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "level: use OBJECTS");
  };
  const ClientResult result = RunClient(Arguments({"--level", "pages"}));
  EXPECT_EQ(result.code, 4);
  EXPECT_THAT(result.err, HasSubstr("level: use OBJECTS"));
}

WatchStartupsResponse StuckMessage() {
  WatchStartupsResponse message;
  auto* stuck = message.mutable_startup_stuck();
  stuck->mutable_process()->set_pid(12);
  stuck->mutable_process()->set_executable("/usr/sbin/slow");
  stuck->set_phase(startscope::v1::PHASE_CONSTRUCTORS);
  stuck->set_elapsed_ns(2'000'000'000);
  return message;
}

TEST_F(WatchCommand, AStartThatIsStuckIsTold) {
  Serve(1, {StuckMessage()});
  const ClientResult text = RunClient(Arguments({"--limit", "1"}));
  EXPECT_THAT(text.out, HasSubstr("… slow (pid 12) starting for 2.00 s"));
  EXPECT_EQ(request_.stuck_after().seconds(), 2);
  const ClientResult json =
      RunClient(Arguments({"--limit", "1", "--format", "json", "--stuck-after", "0.5"}));
  EXPECT_THAT(json.out, StartsWith("{\"startup_stuck\":{"));
  EXPECT_EQ(request_.stuck_after().nanos(), 500'000'000);
}

}  // namespace
}  // namespace startscope
