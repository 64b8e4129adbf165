// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_SERVE_HELD_WATCHES_H_
#define STARTSCOPE_DAEMON_SERVE_HELD_WATCHES_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/serve/hub.h"
#include "daemon/serve/watch_controller.h"

namespace startscope {

// What a stream needs to be gone on with.
struct HeldWatch {
  uint64_t id = 0;
  PeerIdentity peer;
  // What was asked for, less where to begin: a stream that asks for something else is another.
  std::string request;
  // The process is part of what was asked for.
  bool of_process = false;
  ArmedWatch armed;
  std::shared_ptr<Subscriber> subscriber;
};

// Watches whose streams were cut and that stay armed for a while, so that a client that comes back
// misses nothing. Each is either taken by such a client or released when its time is over. Any thread;
// owns the one that releases.
class HeldWatches {
 public:
  // `release` is called once for each that is not taken.
  explicit HeldWatches(std::function<void(const HeldWatch&)> release);
  // Releases all.
  ~HeldWatches();
  HeldWatches(const HeldWatches&) = delete;
  HeldWatches& operator=(const HeldWatches&) = delete;

  // A stream begins: `id` as the one that it goes on with had, or 0 for a new number, not to be
  // guessed. `cancel` ends it early; any thread.
  uint64_t Open(uint64_t id, const PeerIdentity& peer, std::function<void()> cancel);
  // The stream `watch.id` is over; it is held for `duration`, or not when that is zero or its client
  // said that it will not come back. False: not held, and not released either.
  bool Close(HeldWatch watch, absl::Duration duration);
  // The held watch that `wanted` (id, peer, request, of_process) goes on with. A stream whose client is
  // back before the daemon saw it go is ended first.
  std::optional<HeldWatch> Take(const HeldWatch& wanted);
  // The client of stream `id` will not come back.
  void End(uint64_t id, const PeerIdentity& peer);

 private:
  struct OpenStream {
    PeerIdentity peer;
    bool ended = false;
    std::function<void()> cancel;
  };
  struct Held {
    HeldWatch watch;
    absl::Time until;
  };
  void ReleaseInTime();
  bool Due() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return changed_ || stopping_; }

  const std::function<void(const HeldWatch&)> release_;
  absl::Mutex mutex_;
  absl::flat_hash_map<uint64_t, OpenStream> open_ ABSL_GUARDED_BY(mutex_);
  std::vector<Held> held_ ABSL_GUARDED_BY(mutex_);
  bool changed_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_HELD_WATCHES_H_
