// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/timeline_assembler.h"

#include <algorithm>
#include <utility>

namespace startscope {
namespace {

constexpr size_t kMaxOpen = 64;

}  // namespace

void TimelineAssembler::Add(startscope::v1::TimelineChunk chunk) {
  auto found = std::find_if(open_.begin(), open_.end(), [&](const Open& one) {
    return one.startup_id == chunk.startup_id();
  });
  if (found == open_.end()) {
    if (open_.size() >= kMaxOpen) {
      discarded_ += static_cast<uint64_t>(open_.front().timeline.timeline_size());
      open_.pop_front();
    }
    found = open_.insert(open_.end(), {chunk.startup_id(), {}});
  }
  auto& timeline = *found->timeline.mutable_timeline();
  if (timeline.empty()) {
    timeline.Swap(chunk.mutable_entries());  // most timelines are one chunk
    return;
  }
  for (auto& entry : *chunk.mutable_entries()) *timeline.Add() = std::move(entry);
}

void TimelineAssembler::Complete(startscope::v1::Startup* startup) {
  const auto found = std::find_if(open_.begin(), open_.end(), [&](const Open& one) {
    return one.startup_id == startup->startup_id();
  });
  if (found == open_.end()) return;
  startup->mutable_timeline()->Swap(found->timeline.mutable_timeline());
  open_.erase(found);
}

}  // namespace startscope
