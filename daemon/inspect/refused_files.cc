// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/inspect/refused_files.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace startscope {
namespace {

int64_t Ns(const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

}  // namespace

FileStamp FileStamp::Of(const struct stat& status) {
  return {status.st_dev, status.st_ino, static_cast<uint64_t>(status.st_size), Ns(status.st_mtim),
          Ns(status.st_ctim)};
}

std::optional<std::string> RefusedFiles::ReasonFor(const FileStamp& stamp) {
  const auto found = by_stamp_.find(stamp);
  if (found == by_stamp_.end()) return std::nullopt;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->reason;
}

void RefusedFiles::Add(const FileStamp& stamp, const std::string& path, const std::string& reason) {
  if (by_stamp_.contains(stamp)) return;
  if (entries_.size() >= capacity_) {
    by_stamp_.erase(entries_.back().stamp);
    entries_.pop_back();
  }
  entries_.push_front({stamp, path, reason});
  by_stamp_[stamp] = entries_.begin();
}

std::vector<std::string> RefusedFiles::Describe() const {
  std::vector<std::string> lines;
  for (const Entry& entry : entries_) {
    lines.push_back(absl::StrCat(entry.path, ": ", entry.reason));
  }
  return lines;
}

}  // namespace startscope
