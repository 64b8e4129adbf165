// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/pipeline.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>

namespace startscope {
namespace {

struct WatchRecord {
  uint32_t slot;
  uint32_t set;
  uint32_t level;
  uint32_t precision;
  uint32_t until_exit;
  uint32_t options;  // kWaits and so on
  uint64_t deadline_ns;
  uint64_t stuck_after_ns;
};
// Recordings made before there was stuck_after_ns lack it.
constexpr size_t kShortestWatchRecord = offsetof(WatchRecord, stuck_after_ns);

enum : uint32_t { kWaits = 1, kSyscalls = 2, kSamples = 4, kLoaderEvents = 8,
                 kPagesReadKnown = 16, kWindowsKnown = 32 };

uint32_t OptionsOf(const WatchTerms& terms) {
  return (terms.waits ? kWaits : 0u) | (terms.syscalls ? kSyscalls : 0u) |
         (terms.samples ? kSamples : 0u) | (terms.loader_events ? kLoaderEvents : 0u) |
         (terms.pages_read_known ? kPagesReadKnown : 0u) |
         (terms.windows_known ? kWindowsKnown : 0u);
}

std::vector<uint8_t> BytesOf(const WatchRecord& record) {
  std::vector<uint8_t> bytes(sizeof(record));
  std::memcpy(bytes.data(), &record, sizeof(record));
  return bytes;
}

void ApplyWatch(std::span<const uint8_t> bytes, StartupModel* model) {
  WatchRecord record{};
  if (bytes.size() < kShortestWatchRecord) return;
  std::memcpy(&record, bytes.data(), std::min(bytes.size(), sizeof(record)));
  if (record.slot >= StartupModel::kWatchSlots) return;
  if (record.set == 0) return model->ClearWatch(static_cast<int>(record.slot));
  WatchTerms terms;
  terms.level = static_cast<Level>(record.level);
  terms.precision = static_cast<Precision>(record.precision);
  terms.until_exit = record.until_exit != 0;
  terms.waits = (record.options & kWaits) != 0;
  terms.syscalls = (record.options & kSyscalls) != 0;
  terms.samples = (record.options & kSamples) != 0;
  terms.loader_events = (record.options & kLoaderEvents) != 0;
  terms.pages_read_known = (record.options & kPagesReadKnown) != 0;
  terms.windows_known = (record.options & kWindowsKnown) != 0;
  terms.deadline_ns = record.deadline_ns;
  terms.stuck_after_ns = record.stuck_after_ns;
  model->SetWatch(static_cast<int>(record.slot), terms);
}

}  // namespace

std::vector<uint8_t> EncodeWatchSet(int slot, const WatchTerms& terms) {
  return BytesOf({static_cast<uint32_t>(slot), 1, static_cast<uint32_t>(terms.level),
                  static_cast<uint32_t>(terms.precision), terms.until_exit, OptionsOf(terms),
                  terms.deadline_ns, terms.stuck_after_ns});
}

std::vector<uint8_t> EncodeWatchCleared(int slot) {
  return BytesOf({static_cast<uint32_t>(slot), 0, 0, 0, 0, 0, 0, 0});
}

void Pipeline::OnRecord(const RawRecord& record) {
  switch (record.origin) {
    case RecordOrigin::kWatch:
      return ApplyWatch(record.bytes, &model_);
    case RecordOrigin::kCosts: {
      ProbeCosts costs;
      if (record.bytes.size() != sizeof(costs)) return;
      std::memcpy(&costs, record.bytes.data(), sizeof(costs));
      return model_.SetProbeCosts(costs);
    }
    case RecordOrigin::kDrained: {
      uint64_t boottime_ns = 0;
      if (record.bytes.size() != sizeof(boottime_ns)) return;
      std::memcpy(&boottime_ns, record.bytes.data(), sizeof(boottime_ns));
      return OnDrained(boottime_ns);
    }
    case RecordOrigin::kImage: {
      // Facts hold for starts before and after them alike, so they are not put in order.
      std::optional<Event> event = decoder_.Decode(record);
      if (!event) return;
      event->boottime_ns = 0;
      return model_.OnEvent(*std::move(event));
    }
    default: {
      Event& event = orderer_.next();
      const bool decoded = decoder_.Decode(record, &event);
      CountReceived(record.origin, decoded ? &event : nullptr);
      if (decoded) orderer_.AddNext();
    }
  }
}

void Pipeline::OnDrained(uint64_t boottime_ns) {
  listener_->BeginBatch();
  // First, because a startup that begins and ends among these records may be what lacks them.
  if (const uint64_t bad = decoder_.bad_total(); bad != bad_reported_) {
    Event lost;
    lost.payload = LostEvent{LossStage::kDecode, bad - bad_reported_};
    bad_reported_ = bad;
    model_.OnEvent(std::move(lost));
  }
  orderer_.ReleaseUpTo(boottime_ns, [this](Event&& event) { model_.OnEvent(std::move(event)); });
  model_.AdvanceTo(boottime_ns);
  listener_->EndBatch(boottime_ns);
}

void Pipeline::CountReceived(RecordOrigin origin, const Event* event) {
  const auto* lost = event != nullptr ? std::get_if<LostEvent>(&event->payload) : nullptr;
  if (lost != nullptr) {
    // It stands for those that did not come.
    if (lost->stage == LossStage::kMappingRing) received_.mappings_lost += lost->count;
  } else if (origin == RecordOrigin::kRing) {
    ++received_.events;
  } else if (origin == RecordOrigin::kSideband) {
    ++received_.mappings;
  }
}

void Pipeline::Finish() {
  orderer_.ReleaseUpTo(UINT64_MAX, [this](Event&& event) { model_.OnEvent(std::move(event)); });
  model_.Finish();
}

}  // namespace startscope
