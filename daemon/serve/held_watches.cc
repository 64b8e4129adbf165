// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/serve/held_watches.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/random/random.h"
#include "absl/time/clock.h"

namespace startscope {
namespace {

// How long a stream may take to end that its own client wants to go on with.
constexpr absl::Duration kCancelPatience = absl::Seconds(2);

bool SameUser(const PeerIdentity& a, const PeerIdentity& b) {
  return a.uid == b.uid && a.remote == b.remote && a.privileged == b.privileged;
}

}  // namespace

HeldWatches::HeldWatches(std::function<void(const HeldWatch&)> release)
    : release_(std::move(release)), thread_([this] { ReleaseInTime(); }) {}

HeldWatches::~HeldWatches() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

uint64_t HeldWatches::Open(uint64_t id, const PeerIdentity& peer,
                           std::function<void()> cancel) {
  absl::BitGen random;
  absl::MutexLock lock(&mutex_);
  while (id == 0 || open_.contains(id)) id = absl::Uniform<uint64_t>(random);
  open_[id] = {peer, false, std::move(cancel)};
  return id;
}

bool HeldWatches::Close(HeldWatch watch, absl::Duration duration) {
  absl::MutexLock lock(&mutex_);
  const auto stream = open_.extract(watch.id);
  const bool ended = stream.empty() || stream.mapped().ended;
  if (ended || stopping_ || duration <= absl::ZeroDuration()) return false;
  held_.push_back({std::move(watch), absl::Now() + duration});
  changed_ = true;
  return true;
}

std::optional<HeldWatch> HeldWatches::Take(const HeldWatch& wanted) {
  absl::MutexLock lock(&mutex_);
  if (const auto stream = open_.find(wanted.id);
      stream != open_.end() && SameUser(stream->second.peer, wanted.peer)) {
    stream->second.cancel();
    const auto over = [this, &wanted]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return !open_.contains(wanted.id);
    };
    mutex_.AwaitWithTimeout(absl::Condition(&over), kCancelPatience);
  }
  const auto found = std::find_if(held_.begin(), held_.end(), [&](const Held& held) {
    const HeldWatch& watch = held.watch;
    return watch.id == wanted.id && SameUser(watch.peer, wanted.peer) &&
           watch.request == wanted.request &&
           (!watch.of_process || watch.peer.pid == wanted.peer.pid);
  });
  if (found == held_.end()) return std::nullopt;
  HeldWatch taken = std::move(found->watch);
  held_.erase(found);
  return taken;
}

void HeldWatches::End(uint64_t id, const PeerIdentity& peer) {
  absl::MutexLock lock(&mutex_);
  if (const auto stream = open_.find(id); stream != open_.end()) {
    if (SameUser(stream->second.peer, peer)) stream->second.ended = true;
    return;
  }
  for (Held& held : held_) {
    if (held.watch.id != id || !SameUser(held.watch.peer, peer)) continue;
    held.until = absl::InfinitePast();
    changed_ = true;
  }
}

void HeldWatches::ReleaseInTime() {
  while (true) {
    std::vector<Held> over;
    bool stopping = false;
    {
      absl::MutexLock lock(&mutex_);
      absl::Time next = absl::InfiniteFuture();
      for (const Held& held : held_) next = std::min(next, held.until);
      mutex_.AwaitWithDeadline(absl::Condition(this, &HeldWatches::Due), next);
      changed_ = false;
      stopping = stopping_;
      const absl::Time now = stopping ? absl::InfiniteFuture() : absl::Now();
      const auto due = std::partition(held_.begin(), held_.end(),
                                      [&](const Held& held) { return held.until > now; });
      std::move(due, held_.end(), std::back_inserter(over));
      held_.erase(due, held_.end());
    }
    for (const Held& held : over) release_(held.watch);
    if (stopping) return;
  }
}

}  // namespace startscope
