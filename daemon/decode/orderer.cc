// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/decode/orderer.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace startscope {

namespace {

// A storm brings some hundreds between two releases.
constexpr size_t kKeptEvents = 2048;

}  // namespace

// What came from one source is in order, or nearly: there are few runs, and they are merged.
void Orderer::Sort() {
  const auto earlier = [](const Place& a, const Place& b) { return a.boottime_ns < b.boottime_ns; };
  runs_.clear();
  for (size_t i = 0; i < order_.size(); ++i) {
    if (i == 0 || earlier(order_[i], order_[i - 1])) runs_.push_back(i);
  }
  while (runs_.size() > 1) {
    sorted_.resize(order_.size());
    size_t left = 0;  // runs after this turn
    for (size_t i = 0; i < runs_.size(); i += 2) {
      const auto at = [this](size_t run) {
        return order_.begin() +
               static_cast<std::ptrdiff_t>(run < runs_.size() ? runs_[run] : order_.size());
      };
      std::merge(at(i), at(i + 1), at(i + 1), at(i + 2), sorted_.begin() + (at(i) - order_.begin()),
                 earlier);
      runs_[left++] = runs_[i];
    }
    runs_.resize(left);
    std::swap(order_, sorted_);
  }
}

void Orderer::ReleaseUpTo(uint64_t boottime_ns, absl::FunctionRef<void(Event&&)> sink) {
  Sort();
  size_t released = 0;
  for (; released < order_.size(); ++released) {
    if (order_[released].boottime_ns > boottime_ns) break;
    if (order_[released].boottime_ns != 0 && order_[released].boottime_ns < released_up_to_ns_) {
      ++late_;
    }
    Event& event = waiting_[order_[released].index];
    sink(std::move(event));
    GiveBackMost(&event);
  }
  const size_t left = order_.size() - released;
  if (rest_.size() < left) rest_.resize(left);
  for (size_t i = 0; i < left; ++i) {
    const Place& place = order_[released + i];
    rest_[i] = std::move(waiting_[place.index]);
    order_[i] = {place.boottime_ns, i};
  }
  order_.resize(left);
  count_ = left;
  std::swap(waiting_, rest_);
  released_up_to_ns_ = std::max(released_up_to_ns_, boottime_ns);
  GiveBackRoom();
}

void Orderer::GiveBackRoom() {
  if (waiting_.size() > kKeptEvents && count_ <= kKeptEvents) {
    waiting_.resize(kKeptEvents);
    waiting_.shrink_to_fit();
  }
  if (rest_.size() > kKeptEvents) {
    rest_.resize(kKeptEvents);
    rest_.shrink_to_fit();
  }
}

}  // namespace startscope
