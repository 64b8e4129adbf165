// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_STARTUP_READER_H_
#define STARTSCOPE_CLIENT_EXPORT_STARTUP_READER_H_

#include <cstdint>
#include <functional>
#include <istream>
#include <string>

#include "startscope/v1/startup.pb.h"

namespace startscope {

struct ReadCounts {
  uint64_t startups = 0;
  // Lines that are something else than a startup, as `watch` writes them: loader events, gaps.
  uint64_t other = 0;
  uint64_t bad = 0;
  // Of the first bad line.
  std::string first_error;
};

// A line that is longer is bad.
inline constexpr size_t kMaxLineBytes = size_t{64} << 20;

// Startups in JSON, one a line, as --format json writes them. A bad line is counted and the next
// one read. `take` returning false ends it.
[[nodiscard]] ReadCounts ReadStartups(
    std::istream& input, const std::string& name,
    const std::function<bool(startscope::v1::Startup startup)>& take);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_STARTUP_READER_H_
