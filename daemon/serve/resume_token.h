// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_SERVE_RESUME_TOKEN_H_
#define STARTSCOPE_DAEMON_SERVE_RESUME_TOKEN_H_

#include <cstdint>
#include <optional>
#include <string>

namespace startscope {

// A position in one stream of one daemon. It grants nothing: who holds it sees what they may see
// anyway.
struct ResumeToken {
  std::string boot_id;           // of the machine's start
  uint64_t epoch = 0;            // of the daemon's, in nanoseconds of the boot clock
  uint64_t watch = 0;            // number of the stream
  uint64_t serial = 0;           // in the daemon's ring
  uint64_t realtime_ms = 0;      // when it was given

  [[nodiscard]] std::string Format() const;
  // nullopt: not one that a daemon gave.
  [[nodiscard]] static std::optional<ResumeToken> Parse(const std::string& text);
};

// The kernel's name for this start of the machine; empty where it cannot be read.
[[nodiscard]] std::string ReadBootId();

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_RESUME_TOKEN_H_
