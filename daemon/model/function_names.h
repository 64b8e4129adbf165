// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Names of functions that were looked up, so that the next start of the same program, whose faults
// happen in the same places, need not ask for them again.

#ifndef STARTSCOPE_DAEMON_MODEL_FUNCTION_NAMES_H_
#define STARTSCOPE_DAEMON_MODEL_FUNCTION_NAMES_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "daemon/decode/event.h"

namespace startscope {

// Not thread-safe.
class FunctionNames {
 public:
  // Beyond `max_bytes` (of names and of what finds them) all are forgotten, and looked up again.
  explicit FunctionNames(size_t max_bytes) : max_bytes_(max_bytes) {}

  // By offset in the file; empty: it was looked up, and there is none. Valid until Keep or Forget.
  using OfFile = absl::flat_hash_map<uint64_t, std::string>;
  // Null: nothing of this file was looked up.
  [[nodiscard]] const OfFile* Find(const FileId& file) const;

  void Keep(const SymbolsEvent& symbols);
  // What the file held may have changed.
  void Forget(const FileId& file);

  [[nodiscard]] size_t bytes() const { return bytes_; }

 private:
  static size_t BytesOf(const std::string& name);

  const size_t max_bytes_;
  size_t bytes_ = 0;
  absl::flat_hash_map<FileId, OfFile> files_;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_FUNCTION_NAMES_H_
