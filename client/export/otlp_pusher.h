// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_OTLP_PUSHER_H_
#define STARTSCOPE_CLIENT_EXPORT_OTLP_PUSHER_H_

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/random/random.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "client/export/otlp_transport.h"
#include "client/export/trace_sink.h"
#include "daemon/base/bounded_queue.h"

namespace startscope {

struct PushOptions {
  // Startups that wait at most; what comes then is dropped.
  size_t queue = 2048;
  // Add waits for room instead: startups of files come as fast as they are taken.
  bool wait_for_room = false;
  // Startups in a request at most, and how long the first of them waits for others.
  size_t batch = 256;
  absl::Duration delay = absl::Seconds(5);
  // Between attempts, doubled from one to the next, and how long one batch is tried.
  absl::Duration first_backoff = absl::Seconds(1);
  absl::Duration longest_backoff = absl::Seconds(30);
  absl::Duration give_up = absl::Minutes(2);
  // At the end.
  absl::Duration last_patience = absl::Seconds(5);
};

// Pushes to a collector from a thread of its own: bounded queue, batches, attempts with backoff.
// What it cannot get rid of is dropped and counted, by why. Add, Finish and the destructor are for
// one thread; the transport is used by the pusher's alone.
class OtlpPusher : public TraceSink {
 public:
  OtlpPusher(std::unique_ptr<OtlpTransport> transport, otlp::Resource resource, std::string version,
             const PushOptions& options);
  ~OtlpPusher() override;

  void Add(TraceSpans spans) override;
  void Finish() override;
  [[nodiscard]] SinkCounts counts() const override;

 private:
  void Run();
  // Waits for startups; empty: the end.
  std::vector<TraceSpans> NextBatch();
  void Send(std::vector<TraceSpans> batch);
  [[nodiscard]] bool HasRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return pending_ < options_.queue;
  }

  const std::unique_ptr<OtlpTransport> transport_;
  const otlp::Resource resource_;
  const std::string version_;
  const PushOptions options_;
  BoundedQueue<TraceSpans> queue_;
  // No more waiting for more or for another attempt; set before stopping_ is notified.
  absl::Time last_moment_ = absl::InfiniteFuture();
  absl::Notification stopping_;
  absl::BitGen random_;
  mutable absl::Mutex mutex_;
  SinkCounts counts_ ABSL_GUARDED_BY(mutex_);
  // Added, and neither delivered nor given up yet; of those that wait_for_room.
  size_t pending_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread thread_;
};

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_OTLP_PUSHER_H_
