// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/trace_builder.h"

#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "tests/unit/export/test_startups.h"

namespace startscope {
namespace {

using startscope::v1::Startup;

const otlp::AnyValue* Attribute(
    const google::protobuf::RepeatedPtrField<otlp::KeyValue>& attributes, absl::string_view key) {
  for (const otlp::KeyValue& attribute : attributes) {
    if (attribute.key() == key) return &attribute.value();
  }
  return nullptr;
}

class TraceBuilderTest : public ::testing::Test {
 protected:
  google::protobuf::RepeatedPtrField<otlp::Span> Build() {
    return BuildTrace(sampled_, TraceIdOf(sampled_.startup, "machine"), options_);
  }

  SampledStartup sampled_{TestStartup("/opt/dir/program"), SampleReason::kChance, 0.01};
  TraceOptions options_;
};

TEST_F(TraceBuilderTest, ARootWithASpanForEachPhase) {
  const auto spans = Build();
  ASSERT_EQ(spans.size(), 3);
  EXPECT_EQ(spans[0].name(), "startup");
  EXPECT_EQ(spans[0].parent_span_id(), "");
  EXPECT_EQ(spans[0].start_time_unix_nano(), 1'700'000'000'000'000'005u);
  EXPECT_EQ(spans[0].end_time_unix_nano(), 1'700'000'000'004'000'005u);
  EXPECT_EQ(spans[1].name(), "kernel_exec");
  EXPECT_EQ(spans[2].name(), "relocation");
  EXPECT_EQ(spans[2].start_time_unix_nano(), 1'700'000'000'001'000'005u);
  std::set<std::string> ids;
  for (const otlp::Span& span : spans) {
    EXPECT_EQ(span.trace_id(), spans[0].trace_id());
    EXPECT_EQ(span.trace_id().size(), 16u);
    EXPECT_EQ(span.span_id().size(), 8u);
    ids.insert(span.span_id());
  }
  EXPECT_EQ(ids.size(), 3u);
  EXPECT_EQ(spans[1].parent_span_id(), spans[0].span_id());
  EXPECT_EQ(spans[2].parent_span_id(), spans[0].span_id());
}

TEST_F(TraceBuilderTest, SemanticConventionsNameTheProcess) {
  sampled_.startup.mutable_process()->set_container_id("abc");
  sampled_.startup.mutable_process()->mutable_pod()->set_uid("pod-1");
  const auto spans = Build();
  const auto& attributes = spans[0].attributes();
  EXPECT_EQ(Attribute(attributes, "process.pid")->int_value(), 42);
  EXPECT_EQ(Attribute(attributes, "process.executable.name")->string_value(), "program");
  EXPECT_EQ(Attribute(attributes, "process.executable.path")->string_value(), "/opt/dir/program");
  EXPECT_EQ(Attribute(attributes, "container.id")->string_value(), "abc");
  EXPECT_EQ(Attribute(attributes, "k8s.pod.uid")->string_value(), "pod-1");
}

TEST_F(TraceBuilderTest, TheRootSaysHowManyItStandsFor) {
  const auto spans = Build();
  const auto& attributes = spans[0].attributes();
  EXPECT_DOUBLE_EQ(Attribute(attributes, "startscope.sampling.adjusted_count")->double_value(),
                   100);
  EXPECT_EQ(Attribute(attributes, "startscope.sampling.reason")->string_value(), "chance");
  EXPECT_EQ(spans[0].trace_state(), SamplingTraceState(0.01));
}

TEST_F(TraceBuilderTest, ArgumentsOnlyWhenAskedFor) {
  sampled_.startup.mutable_process()->add_argv("program");
  sampled_.startup.mutable_process()->add_argv("--password=hunter2");
  EXPECT_EQ(Build()[0].SerializeAsString().find("hunter2"), std::string::npos);
  options_.arguments = true;
  EXPECT_NE(Build()[0].SerializeAsString().find("hunter2"), std::string::npos);
}

TEST_F(TraceBuilderTest, WhatWasNotMeasuredIsAbsent) {
  const auto spans = Build();
  EXPECT_EQ(Attribute(spans[1].attributes(), "startscope.blocked_ns"), nullptr);
  EXPECT_EQ(Attribute(spans[1].attributes(), "startscope.page_faults.major")->int_value(), 1);
  EXPECT_EQ(Attribute(spans[0].attributes(), "startscope.page_faults.minor"), nullptr);
}

TEST_F(TraceBuilderTest, ObjectsAreEventsAsManyAsAreAllowed) {
  for (int i = 0; i < 10; ++i) {
    sampled_.startup.add_objects()->set_path(absl::StrCat("/lib/", i));
  }
  options_.max_objects = 4;
  const auto spans = Build();
  EXPECT_EQ(spans[0].events_size(), 4);
  EXPECT_EQ(spans[0].dropped_events_count(), 6u);
}

TEST_F(TraceBuilderTest, AFailedStartIsAnError) {
  sampled_.startup.set_outcome(startscope::v1::OUTCOME_KILLED);
  sampled_.startup.set_exit_status(11);
  sampled_.reason = SampleReason::kFailed;
  const auto spans = Build();
  EXPECT_EQ(spans[0].status().code(), otlp::STATUS_CODE_ERROR);
  EXPECT_EQ(spans[0].status().message(), "SIGSEGV");
}

TEST_F(TraceBuilderTest, LongTextIsCut) {
  sampled_.startup.mutable_process()->set_executable("/" + std::string(100'000, 'x'));
  EXPECT_LT(Build()[0].ByteSizeLong(), 8 * kMaxAttributeBytes);
}

TEST_F(TraceBuilderTest, NoSpanEndsBeforeItBegins) {
  sampled_.startup.set_total_ns(UINT64_MAX);
  sampled_.startup.mutable_phases(1)->set_offset_ns(UINT64_MAX - 5);
  sampled_.startup.mutable_phases(1)->set_duration_ns(UINT64_MAX);
  for (const int64_t seconds : {int64_t{0}, int64_t{1'700'000'000}, INT64_MAX, INT64_MIN}) {
    sampled_.startup.mutable_exec_time()->set_seconds(seconds);
    for (const otlp::Span& span : Build()) {
      EXPECT_LE(span.start_time_unix_nano(), span.end_time_unix_nano()) << seconds;
    }
  }
}

TEST_F(TraceBuilderTest, NonsenseIsNotMultiplied) {
  for (int i = 0; i < 10'000; ++i) {
    sampled_.startup.add_phases()->set_duration_ns(1);
    sampled_.startup.add_degradations()->set_kind(startscope::v1::DEGRADATION_KIND_RECORDS_LOST);
  }
  const auto spans = Build();
  EXPECT_LE(spans.size(), 65);
  const auto* kinds = Attribute(spans[0].attributes(), "startscope.degradations");
  ASSERT_NE(kinds, nullptr);
  EXPECT_EQ(kinds->array_value().values_size(), 1);
}

TEST(TraceIdTest, IsTheSameAgainAndAnotherOnAnotherMachine) {
  const Startup startup = TestStartup("/bin/a");
  EXPECT_EQ(TraceIdOf(startup, "one"), TraceIdOf(startup, "one"));
  EXPECT_NE(TraceIdOf(startup, "one"), TraceIdOf(startup, "two"));
}

TEST(TraceIdTest, ItsRandomnessIsEven) {
  Startup startup = TestStartup("/bin/a");
  constexpr int kCount = 20'000;
  int buckets[16] = {};
  for (int i = 0; i < kCount; ++i) {
    startup.set_startup_id(absl::StrCat("4711-", i));
    ++buckets[RandomnessOf(TraceIdOf(startup, "machine")) >> (kRandomnessBits - 4)];
  }
  // Six standard deviations around the mean.
  for (const int count : buckets) EXPECT_NEAR(count, kCount / 16, 6 * 34);
}

}  // namespace
}  // namespace startscope
