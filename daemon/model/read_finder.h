// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_READ_FINDER_H_
#define STARTSCOPE_DAEMON_MODEL_READ_FINDER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/model/evidence.h"

namespace startscope {

// Names of files, for time spent waiting for them: of the object that the fault with this index in
// Evidence::faults was charged to, and of a file by its numbers. Empty: not known. The text lives as
// long as what the functions refer to.
struct FileNames {
  std::function<std::string_view(size_t)> of_fault;
  std::function<std::string_view(const FileId&)> of_file;
};

// Which of the mapped objects' files is the one that pages were read of: by the numbers of the file below where
// it is mapped through overlay, which has a device of its own and keeps the inode numbers. nullopt:
// none, or more than one might be.
std::optional<size_t> FindReadFile(const std::vector<MappedObject>& mapped, const FileId& read);

// Finds the file that the main thread was reading when it waited for storage. Refers to what it was
// made from.
class ReadFinder {
 public:
  ReadFinder(const Evidence& evidence, const FileNames& names);

  // Of a wait from `begin_ns` to `end_ns` on the boot clock: the file of the fault it lies in, or else
  // the one last read from. Empty: not known.
  [[nodiscard]] std::string_view FileOf(uint64_t begin_ns, uint64_t end_ns) const;

 private:
  const Evidence& evidence_;
  const FileNames& names_;
  std::vector<std::pair<uint64_t, const PagesReadEvent*>> reads_;  // by time
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_READ_FINDER_H_
