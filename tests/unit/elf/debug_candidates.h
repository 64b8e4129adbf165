// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_TESTS_UNIT_ELF_DEBUG_CANDIDATES_H_
#define STARTSCOPE_TESTS_UNIT_ELF_DEBUG_CANDIDATES_H_

#include <sys/stat.h>

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/unique_fd.h"
#include "daemon/elf/byte_source.h"
#include "daemon/probe/debug_finder.h"

namespace startscope {

inline uint64_t SizeOf(const UniqueFd& fd) {
  struct stat status {};
  return fstat(fd.get(), &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0;
}

inline DebuggedImage ImageToDebug(const UniqueFd& fd, const std::string& path,
                                  std::shared_ptr<const UniqueFd> root = nullptr) {
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) return {};
  return {fd.get(), path, std::move(root), status.st_uid, status.st_mode};
}

// What may be the separate debug file of an image, opened as the daemon does.
class DebugCandidates {
 public:
  DebugCandidates(const UniqueFd& image, const std::string& path,
                  const DebugFinderOptions& options = {}) {
    FdByteSource source(image.get(), SizeOf(image));
    const std::optional<DebugReference> wanted = WantedDebugFile(&source);
    if (!wanted) return;
    files_ = DebugFinder(options).Find(*wanted, ImageToDebug(image, path));
    for (const DebugCandidate& one : files_) readers_.emplace_back(one.fd.get(), one.size_bytes);
  }

  [[nodiscard]] std::vector<ByteSource*> sources() {
    std::vector<ByteSource*> all;
    for (FdByteSource& reader : readers_) all.push_back(&reader);
    return all;
  }

 private:
  std::vector<DebugCandidate> files_;
  std::list<FdByteSource> readers_;
};

}  // namespace startscope

#endif  // STARTSCOPE_TESTS_UNIT_ELF_DEBUG_CANDIDATES_H_
