// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/watch_stream.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "daemon/base/errno_status.h"

namespace startscope {
namespace {

constexpr size_t kMaxPendingEvents = 256;

}  // namespace

absl::StatusOr<std::unique_ptr<WatchStream>> WatchStream::Open(
    startscope::v1::StartupService::Stub& stub,
    const startscope::v1::WatchStartupsRequest& request) {
  auto stream = std::unique_ptr<WatchStream>(new WatchStream());
  stream->ready_.Reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stream->ready_.valid()) return ErrnoStatus(errno, "eventfd");
  stream->reader_ = stub.WatchStartups(&stream->context_, request);
  stream->thread_ = std::thread([raw = stream.get()] { raw->ReadAll(); });
  return stream;
}

WatchStream::~WatchStream() {
  context_.TryCancel();
  {
    absl::MutexLock lock(&mutex_);
    abandoned_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

bool WatchStream::HasRoom() const { return abandoned_ || events_.size() < kMaxPendingEvents; }

void WatchStream::Push(Event event, bool force) {
  {
    absl::MutexLock lock(&mutex_);
    if (!force) mutex_.Await(absl::Condition(this, &WatchStream::HasRoom));
    if (abandoned_) return;
    events_.push_back(std::move(event));
    if (events_.size() > 1) return;  // told already
  }
  eventfd_write(ready_.get(), 1);
}

void WatchStream::ReadAll() {
  startscope::v1::WatchStartupsResponse message;
  while (reader_->Read(&message)) {
    Push(std::move(message), false);
    std::vector<Event> used;
    absl::MutexLock lock(&mutex_);
    used.swap(used_);
  }
  Push(reader_->Finish(), true);
}

std::vector<WatchStream::Event>& WatchStream::Take() {
  eventfd_t count;
  const bool any = eventfd_read(ready_.get(), &count) == 0;
  absl::MutexLock lock(&mutex_);
  std::move(taken_.begin(), taken_.end(), std::back_inserter(used_));
  taken_.clear();
  if (any) taken_.swap(events_);
  return taken_;
}

}  // namespace startscope
