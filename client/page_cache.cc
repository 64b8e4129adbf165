// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/page_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "client/render/text_sanitizer.h"
#include "client/render/units.h"
#include "daemon/base/unique_fd.h"

namespace startscope {
namespace {

constexpr uint64_t kPageBytes = 4096;
// Pages that a CPU has just put on its own list go at the second try.
constexpr int kTries = 3;
constexpr size_t kMaxLines = 6;

// cachestat(2), Linux 6.5; not in the C library's headers.
constexpr long kSysCachestat = 451;
struct CachestatRange {
  uint64_t offset;
  uint64_t length;  // 0: to the end
};
struct Cachestat {
  uint64_t cached;
  uint64_t dirty;
  uint64_t writeback;
  uint64_t evicted;
  uint64_t recently_evicted;
};

std::optional<uint64_t> CountByMincore(int fd, uint64_t size_bytes) {
  // To others than its owner and those who may write it, the kernel says that all of a file is there.
  struct stat status {};
  if (fstat(fd, &status) != 0) return std::nullopt;
  if (geteuid() != 0 && geteuid() != status.st_uid) return std::nullopt;
  void* const address = mmap(nullptr, size_bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) return std::nullopt;
  std::vector<unsigned char> pages((size_bytes + kPageBytes - 1) / kPageBytes);
  const int failed = mincore(address, size_bytes, pages.data());
  munmap(address, size_bytes);
  if (failed != 0) return std::nullopt;
  return static_cast<uint64_t>(std::count_if(pages.begin(), pages.end(),
                                             [](unsigned char page) { return (page & 1) != 0; }));
}

Eviction EvictOne(const std::string& path) {
  Eviction result;
  result.path = path;
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  if (!file.valid() || fstat(file.get(), &status) != 0) {
    result.error = std::strerror(errno);
    return result;
  }
  if (!S_ISREG(status.st_mode)) {
    result.error = "not a regular file";
    return result;
  }
  const auto size = static_cast<uint64_t>(status.st_size);
  result.pages = (size + kPageBytes - 1) / kPageBytes;
  result.pages_before = PagesInMemory(file.get(), size);
  fdatasync(file.get());
  for (int tried = 0; tried < kTries; ++tried) {
    posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
    result.pages_left = PagesInMemory(file.get(), size);
    if (!result.pages_left || *result.pages_left == 0) break;
  }
  return result;
}

}  // namespace

std::optional<uint64_t> PagesInMemory(int fd, uint64_t size_bytes) {
  if (size_bytes == 0) return 0;
  const CachestatRange all{0, 0};
  Cachestat found{};
  if (syscall(kSysCachestat, fd, &all, &found, 0) == 0) return found.cached;
  return CountByMincore(fd, size_bytes);
}

std::vector<Eviction> EvictFromPageCache(const std::vector<std::string>& paths) {
  std::vector<Eviction> results;
  results.reserve(paths.size());
  for (const std::string& path : paths) results.push_back(EvictOne(path));
  return results;
}

absl::Status DropAllCaches() {
  constexpr char kKnob[] = "/proc/sys/vm/drop_caches";
  sync();
  const UniqueFd knob(open(kKnob, O_WRONLY | O_CLOEXEC));
  if (!knob.valid() || write(knob.get(), "3", 1) != 1) {
    const int error = errno;
    return absl::PermissionDeniedError(
        absl::StrCat(kKnob, ": ", std::strerror(error),
                     "; --drop-caches needs root, --cold does not"));
  }
  return absl::OkStatus();
}

std::vector<std::string> DescribeEvictions(const std::vector<Eviction>& evictions) {
  std::vector<std::string> lines;
  uint64_t untold = 0;
  for (const Eviction& one : evictions) {
    const std::string path = SanitizeText(one.path, true);
    std::string line;
    if (!one.error.empty()) {
      line = absl::StrCat(path, " was not evicted: ", one.error);
    } else if (!one.pages_left) {
      line = absl::StrCat(path, ": whether it was evicted is not told to this user");
    } else if (*one.pages_left != 0) {
      line = absl::StrCat(path, ": ", *one.pages_left, " of ", FormatCount(one.pages, "page"),
                          " stay in memory (other processes have them mapped)");
    } else {
      continue;
    }
    if (lines.size() < kMaxLines) {
      lines.push_back(std::move(line));
    } else {
      ++untold;
    }
  }
  if (untold != 0) lines.push_back(absl::StrCat(FormatCount(untold, "other file"), " likewise"));
  return lines;
}

}  // namespace startscope
