// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_COLLECT_EVENT_SOURCE_H_
#define STARTSCOPE_DAEMON_COLLECT_EVENT_SOURCE_H_

#include <cstdint>
#include <functional>

#include "daemon/collect/raw_record.h"

namespace startscope {

using RecordSink = std::function<void(const RawRecord&)>;

// Where records come from: the kernel, or a recording. Used by one thread at a time (the core
// thread).
class EventSource {
 public:
  virtual ~EventSource() = default;

  // Waits until there is reason to drain, at most `timeout_ms`. False: the source has ended.
  virtual bool Wait(int timeout_ms) = 0;

  // Hands over everything that is there, in each origin's own order. Last comes a kDrained record:
  // no record older than its time can appear any more, but for the few nanoseconds in which a record
  // is being written.
  virtual void Drain(const RecordSink& sink) = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_COLLECT_EVENT_SOURCE_H_
