// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/timeline_assembler.h"

#include <utility>

namespace startscope {
namespace {

constexpr size_t kMaxOpen = 64;

}  // namespace

void TimelineAssembler::Add(startscope::v1::TimelineChunk chunk) {
  if (open_.size() >= kMaxOpen && !open_.contains(chunk.startup_id())) {
    const auto oldest = open_.begin();
    discarded_ += static_cast<uint64_t>(oldest->second.timeline_size());
    open_.erase(oldest);
  }
  auto& timeline = *open_[chunk.startup_id()].mutable_timeline();
  for (auto& entry : *chunk.mutable_entries()) *timeline.Add() = std::move(entry);
}

void TimelineAssembler::Complete(startscope::v1::Startup* startup) {
  const auto found = open_.find(startup->startup_id());
  if (found == open_.end()) return;
  startup->mutable_timeline()->Swap(found->second.mutable_timeline());
  open_.erase(found);
}

}  // namespace startscope
