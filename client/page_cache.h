// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_PAGE_CACHE_H_
#define STARTSCOPE_CLIENT_PAGE_CACHE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace startscope {

// What became of one file.
struct Eviction {
  std::string path;
  std::string error;  // set when it could not be opened, and nothing was done
  uint64_t pages = 0;  // of the file
  // In memory before and after; absent when the kernel tells this user nothing of this file.
  std::optional<uint64_t> pages_before;
  std::optional<uint64_t> pages_left;
};

// Takes regular files out of the page cache, their changes written out first. What other processes have
// mapped stays. Never blocks on a special file. One result for each path, in order.
[[nodiscard]] std::vector<Eviction> EvictFromPageCache(const std::vector<std::string>& paths);

// Pages of an open file that are in memory; nullopt: the kernel does not say.
[[nodiscard]] std::optional<uint64_t> PagesInMemory(int fd, uint64_t size_bytes);

// Empties the page cache, dentries and inodes of the whole machine. Needs root.
[[nodiscard]] absl::Status DropAllCaches();

// What a user should know of it, a line each, without newlines: what could not be opened, and what stayed.
// Empty when every page went.
[[nodiscard]] std::vector<std::string> DescribeEvictions(const std::vector<Eviction>& evictions);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_PAGE_CACHE_H_
