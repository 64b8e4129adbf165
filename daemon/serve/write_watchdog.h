// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_SERVE_WRITE_WATCHDOG_H_
#define STARTSCOPE_DAEMON_SERVE_WRITE_WATCHDOG_H_

#include <atomic>
#include <cstdint>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

struct grpc_call;

namespace startscope {

// Ends calls whose client takes nothing. A write of gRPC's blocks for as long as the other side's
// window is full, that is for ever if it never reads; the only way out is to cancel the call from
// another thread. This is that thread. Any thread may write.
class WriteWatchdog {
 public:
  // `patience`: for how long one write may block.
  explicit WriteWatchdog(absl::Duration patience);
  ~WriteWatchdog();
  WriteWatchdog(const WriteWatchdog&) = delete;
  WriteWatchdog& operator=(const WriteWatchdog&) = delete;

  // One write, from construction to destruction. When it takes too long, `call`, which must live as
  // long as this does, ends with RESOURCE_EXHAUSTED and a message that says why.
  class Write {
   public:
    Write(WriteWatchdog* watchdog, grpc_call* call);
    ~Write();
    Write(const Write&) = delete;
    Write& operator=(const Write&) = delete;

   private:
    WriteWatchdog* const watchdog_;
    const uint64_t number_;
  };

  // Calls that were ended.
  [[nodiscard]] uint64_t cut() const { return cut_; }

 private:
  struct Entry {
    grpc_call* call = nullptr;
    absl::Time deadline;
    bool cut = false;
  };
  void Loop();

  const absl::Duration patience_;
  mutable absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t next_number_ ABSL_GUARDED_BY(mutex_) = 1;
  absl::flat_hash_map<uint64_t, Entry> writes_ ABSL_GUARDED_BY(mutex_);
  std::atomic<uint64_t> cut_{0};
  std::thread thread_;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_WRITE_WATCHDOG_H_
