// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/otlp_pusher.h"

#include <gtest/gtest.h>

#include <utility>

#include "absl/synchronization/notification.h"
#include "client/export/trace_builder.h"
#include "tests/unit/export/test_startups.h"

namespace startscope {
namespace {

// A collector that answers as it was told, in order; then it accepts. Its first answer waits for
// `go`.
class ScriptedTransport : public OtlpTransport {
 public:
  struct Log {
    absl::Mutex mutex;
    std::vector<PostResult> answers;
    std::vector<int> batches;
    std::vector<otlp::Scope> scopes;
    absl::Notification posted;
    absl::Notification go;
  };

  explicit ScriptedTransport(Log& log) : log_(log) {}

  PostResult Post(const otlp::Traces& traces) override {
    if (!log_.posted.HasBeenNotified()) log_.posted.Notify();
    log_.go.WaitForNotification();
    absl::MutexLock lock(&log_.mutex);
    const auto& scope = traces.resource_spans(0).scope_spans(0);
    log_.batches.push_back(scope.spans_size());
    log_.scopes.push_back(scope.scope());
    if (log_.answers.empty()) return {.kind = PostResult::Kind::kAccepted, .body_bytes = 10};
    PostResult answer = log_.answers.front();
    log_.answers.erase(log_.answers.begin());
    return answer;
  }

 private:
  Log& log_;
};

constexpr PushOptions kQuick = {.queue = 4,
                                .batch = 2,
                                .delay = absl::ZeroDuration(),
                                .first_backoff = absl::Milliseconds(1),
                                .longest_backoff = absl::Milliseconds(2),
                                .give_up = absl::Seconds(30),
                                .last_patience = absl::Seconds(30)};

TraceSpans OneTrace() {
  TraceSpans spans;
  spans.Add()->set_name("startup");
  return spans;
}

class OtlpPusherTest : public ::testing::Test {
 protected:
  std::unique_ptr<OtlpPusher> Start(const PushOptions& options) {
    return std::make_unique<OtlpPusher>(std::make_unique<ScriptedTransport>(log_), otlp::Resource(),
                                        "1", options);
  }

  ScriptedTransport::Log log_;
};

TEST_F(OtlpPusherTest, WhatTheQueueHasNoRoomForIsDroppedAndCounted) {
  const auto pusher = Start(kQuick);
  pusher->Add(OneTrace());
  log_.posted.WaitForNotification();
  for (int i = 0; i < 10; ++i) pusher->Add(OneTrace());
  log_.go.Notify();
  pusher->Finish();
  const SinkCounts counts = pusher->counts();
  EXPECT_EQ(counts.delivered, 5u);
  EXPECT_EQ(counts.dropped_queue, 6u);
  // The collector is told, in the scope of what came after.
  ASSERT_GE(log_.scopes.size(), 2u);
  ASSERT_EQ(log_.scopes[1].attributes_size(), 1);
  EXPECT_EQ(log_.scopes[1].attributes(0).key(), "startscope.export.dropped_startups");
  EXPECT_EQ(log_.scopes[1].attributes(0).value().int_value(), 6);
}

TEST_F(OtlpPusherTest, WhoWaitsForRoomLosesNothing) {
  log_.go.Notify();
  PushOptions options = kQuick;
  options.wait_for_room = true;
  const auto pusher = Start(options);
  for (int i = 0; i < 100; ++i) pusher->Add(OneTrace());
  pusher->Finish();
  EXPECT_EQ(pusher->counts().delivered, 100u);
  EXPECT_EQ(pusher->counts().dropped(), 0u);
}

TEST_F(OtlpPusherTest, ABatchHasNoMoreThanItsBound) {
  const auto pusher = Start(kQuick);
  pusher->Add(OneTrace());
  log_.posted.WaitForNotification();
  for (int i = 0; i < 4; ++i) pusher->Add(OneTrace());
  log_.go.Notify();
  pusher->Finish();
  EXPECT_EQ(log_.batches, (std::vector<int>{1, 2, 2}));
}

TEST_F(OtlpPusherTest, ABusyCollectorIsAskedAgain) {
  log_.go.Notify();
  log_.answers = {{.kind = PostResult::Kind::kTryAgain, .message = "busy"},
                  {.kind = PostResult::Kind::kTryAgain, .message = "busy"}};
  const auto pusher = Start(kQuick);
  pusher->Add(OneTrace());
  pusher->Finish();
  EXPECT_EQ(pusher->counts().delivered, 1u);
  EXPECT_EQ(pusher->counts().requests, 3u);
  EXPECT_EQ(pusher->counts().dropped(), 0u);
}

TEST_F(OtlpPusherTest, WhatIsRefusedIsNotSentAgain) {
  log_.go.Notify();
  log_.answers = {{.kind = PostResult::Kind::kRefused, .message = "HTTP 400"}};
  const auto pusher = Start(kQuick);
  pusher->Add(OneTrace());
  pusher->Finish();
  EXPECT_EQ(pusher->counts().dropped_refused, 1u);
  EXPECT_EQ(pusher->counts().requests, 1u);
  EXPECT_EQ(pusher->counts().last_error, "HTTP 400");
}

TEST_F(OtlpPusherTest, AnUnreachableCollectorIsGivenUpAndCounted) {
  log_.go.Notify();
  log_.answers.assign(1000, {.kind = PostResult::Kind::kTryAgain, .message = "no connection"});
  PushOptions options = kQuick;
  options.give_up = absl::Milliseconds(5);
  const auto pusher = Start(options);
  pusher->Add(OneTrace());
  pusher->Finish();
  EXPECT_EQ(pusher->counts().dropped_unreachable, 1u);
  EXPECT_EQ(pusher->counts().delivered, 0u);
}

TEST_F(OtlpPusherTest, TheEndDoesNotWaitForAnUnreachableCollector) {
  log_.go.Notify();
  log_.answers.assign(1000, {.kind = PostResult::Kind::kTryAgain, .message = "no connection"});
  PushOptions options = kQuick;
  options.first_backoff = absl::Minutes(10);
  options.longest_backoff = absl::Minutes(10);
  options.give_up = absl::Hours(1);
  options.last_patience = absl::ZeroDuration();
  const auto pusher = Start(options);
  for (int i = 0; i < 4; ++i) pusher->Add(OneTrace());
  log_.posted.WaitForNotification();
  pusher->Finish();
  EXPECT_EQ(pusher->counts().dropped_unreachable, 4u);
}

TEST_F(OtlpPusherTest, SpansThatTheCollectorLeftOutAreCounted) {
  log_.go.Notify();
  log_.answers = {{.kind = PostResult::Kind::kAccepted, .message = "too old", .rejected_spans = 3}};
  const auto pusher = Start(kQuick);
  pusher->Add(OneTrace());
  pusher->Finish();
  EXPECT_EQ(pusher->counts().rejected_spans, 3u);
  EXPECT_EQ(pusher->counts().last_error, "too old");
}

}  // namespace
}  // namespace startscope
