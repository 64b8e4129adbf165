// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_WATCH_STREAM_H_
#define STARTSCOPE_CLIENT_WATCH_STREAM_H_

#include <memory>
#include <thread>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "daemon/base/unique_fd.h"
#include "startscope/v1/startup_service.grpc.pb.h"

namespace startscope {

// A WatchStartups call as a pollable descriptor, so that one thread can wait for messages, signals
// and a child together. Owns a thread that reads; when the consumer is slow that thread stops
// reading, and the daemon's bounded queue does the rest. Take and fd are for one consumer thread.
class WatchStream {
 public:
  using Event = std::variant<startscope::v1::WatchStartupsResponse, grpc::Status>;

  [[nodiscard]] static absl::StatusOr<std::unique_ptr<WatchStream>> Open(
      startscope::v1::StartupService::Stub& stub,
      const startscope::v1::WatchStartupsRequest& request);
  // Cancels what is still running.
  ~WatchStream();
  WatchStream(const WatchStream&) = delete;
  WatchStream& operator=(const WatchStream&) = delete;

  // Readable while Take has something to give.
  [[nodiscard]] int fd() const { return ready_.get(); }
  // The messages that have come since, in order, and last how the stream ended, once. Good until
  // the next call: the thread that made them frees them, as two threads would hold up each other.
  std::vector<Event>& Take();
  // Ends the stream early; its end still arrives through Take.
  void Cancel() { context_.TryCancel(); }

 private:
  WatchStream() = default;

  void ReadAll();
  [[nodiscard]] bool HasRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Push(Event event, bool force);

  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<startscope::v1::WatchStartupsResponse>> reader_;
  UniqueFd ready_;
  absl::Mutex mutex_;
  std::vector<Event> events_ ABSL_GUARDED_BY(mutex_);
  std::vector<Event> used_ ABSL_GUARDED_BY(mutex_);
  bool abandoned_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Event> taken_;  // the consumer's
  std::thread thread_;
};

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_WATCH_STREAM_H_
