// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_TIMELINE_ASSEMBLER_H_
#define STARTSCOPE_CLIENT_TIMELINE_ASSEMBLER_H_

#include <cstdint>
#include <list>
#include <string>

#include "startscope/v1/startup_service.pb.h"

namespace startscope {

// Puts the timelines that a daemon streams in chunks back into their startups. Bounded: a daemon sends
// the chunks of a startup right before it, so chunks that many others overtook belong to none. One
// thread.
class TimelineAssembler {
 public:
  void Add(startscope::v1::TimelineChunk chunk);
  // Moves what came for this startup into it.
  void Complete(startscope::v1::Startup* startup);
  // Entries thrown away because no startup came for them.
  [[nodiscard]] uint64_t discarded() const { return discarded_; }

 private:
  struct Open {
    std::string startup_id;
    startscope::v1::Startup timeline;  // nothing else of it
  };
  std::list<Open> open_;  // the oldest first
  uint64_t discarded_ = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_TIMELINE_ASSEMBLER_H_
