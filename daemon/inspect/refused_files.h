// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_INSPECT_REFUSED_FILES_H_
#define STARTSCOPE_DAEMON_INSPECT_REFUSED_FILES_H_

#include <sys/stat.h>

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace startscope {

// What says that a file is still the one that was looked at. As stat(2) has it.
struct FileStamp {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t size_bytes = 0;
  int64_t modified_ns = 0;
  int64_t changed_ns = 0;

  static FileStamp Of(const struct stat& status);
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const FileStamp& stamp) {
    return H::combine(std::move(h), stamp.device, stamp.inode, stamp.size_bytes, stamp.modified_ns,
                      stamp.changed_ns);
  }
};

// The files that ended an inspector, each with the reason, for as long as they stay as they are. The
// longest unasked go first. One thread at a time.
class RefusedFiles {
 public:
  explicit RefusedFiles(size_t capacity) : capacity_(capacity) {}

  // nullopt: not refused.
  std::optional<std::string> ReasonFor(const FileStamp& stamp);
  void Add(const FileStamp& stamp, const std::string& path, const std::string& reason);
  // "PATH: reason", the latest first.
  [[nodiscard]] std::vector<std::string> Describe() const;

 private:
  struct Entry {
    FileStamp stamp;
    std::string path;
    std::string reason;
  };
  const size_t capacity_;
  std::list<Entry> entries_;  // the latest first
  absl::flat_hash_map<FileStamp, std::list<Entry>::iterator> by_stamp_;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_INSPECT_REFUSED_FILES_H_
