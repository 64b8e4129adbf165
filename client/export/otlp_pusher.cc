// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/otlp_pusher.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"

namespace startscope {

OtlpPusher::OtlpPusher(std::unique_ptr<OtlpTransport> transport, otlp::Resource resource,
                       std::string version, const PushOptions& options)
    : transport_(std::move(transport)),
      resource_(std::move(resource)),
      version_(std::move(version)),
      options_(options),
      queue_(options.queue),
      thread_([this] { Run(); }) {}

OtlpPusher::~OtlpPusher() { Finish(); }

void OtlpPusher::Add(TraceSpans spans) {
  if (options_.wait_for_room) {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(this, &OtlpPusher::HasRoom));
    ++pending_;
  }
  (void)queue_.TryPush(std::move(spans));
}

void OtlpPusher::Finish() {
  if (!thread_.joinable()) return;
  last_moment_ = absl::Now() + options_.last_patience;
  stopping_.Notify();
  queue_.Close();
  thread_.join();
}

SinkCounts OtlpPusher::counts() const {
  absl::MutexLock lock(&mutex_);
  SinkCounts counts = counts_;
  counts.dropped_queue = queue_.dropped();
  return counts;
}

void OtlpPusher::Run() {
  while (true) {
    std::vector<TraceSpans> batch = NextBatch();
    if (batch.empty()) return;
    const size_t count = batch.size();
    Send(std::move(batch));
    absl::MutexLock lock(&mutex_);
    pending_ -= std::min(pending_, count);
  }
}

std::vector<TraceSpans> OtlpPusher::NextBatch() {
  std::vector<TraceSpans> batch;
  std::optional<TraceSpans> spans = queue_.Pop();
  const absl::Time due = absl::Now() + options_.delay;
  while (spans.has_value()) {
    batch.push_back(*std::move(spans));
    if (batch.size() >= options_.batch) break;
    // Once the queue is closed this gives what is left, without waiting.
    spans = queue_.Pop(due - absl::Now());
  }
  return batch;
}

void OtlpPusher::Send(std::vector<TraceSpans> batch) {
  // Each attempt may take as long as the collector's silence does.
  if (stopping_.HasBeenNotified() && absl::Now() >= last_moment_) {
    absl::MutexLock lock(&mutex_);
    counts_.dropped_unreachable += batch.size();
    return;
  }
  otlp::Traces traces = FrameOf(resource_, version_, counts().dropped());
  auto* spans = traces.mutable_resource_spans(0)->mutable_scope_spans(0)->mutable_spans();
  for (TraceSpans& trace : batch) {
    for (otlp::Span& span : trace) *spans->Add() = std::move(span);
  }
  const absl::Time give_up = absl::Now() + options_.give_up;
  absl::Duration backoff = options_.first_backoff;
  while (true) {
    const PostResult result = transport_->Post(traces);
    const bool again = result.kind == PostResult::Kind::kTryAgain;
    const absl::Duration wait =
        result.retry_after.value_or(backoff * absl::Uniform(random_, 0.5, 1.0));
    backoff = std::min(2 * backoff, options_.longest_backoff);
    {
      absl::MutexLock lock(&mutex_);
      ++counts_.requests;
      if (!result.message.empty()) counts_.last_error = result.message;
      if (result.kind == PostResult::Kind::kAccepted) {
        counts_.delivered += batch.size();
        counts_.rejected_spans += static_cast<uint64_t>(result.rejected_spans);
        counts_.body_bytes += result.body_bytes;
        return;
      }
      const absl::Time end =
          stopping_.HasBeenNotified() ? std::min(give_up, last_moment_) : give_up;
      if (!again || absl::Now() + wait >= end) {
        (again ? counts_.dropped_unreachable : counts_.dropped_refused) += batch.size();
        return;
      }
    }
    // An end in the middle of a pause makes the next attempt the last but for the patience left.
    if (!stopping_.WaitForNotificationWithTimeout(wait)) continue;
    if (absl::Now() + wait < last_moment_) absl::SleepFor(std::min(wait, options_.first_backoff));
  }
}

}  // namespace startscope
