// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// What the ledgers of functions that run before main share: which function a mark is of, and what
// the kernel counted from one mark to the next.

#ifndef STARTSCOPE_DAEMON_MODEL_INIT_CALL_H_
#define STARTSCOPE_DAEMON_MODEL_INIT_CALL_H_

#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "daemon/decode/event.h"
#include "daemon/model/startup.h"

namespace startscope {

// Some init function of the file has a place for a mark.
bool HasInitSites(const ImageFacts& facts);

// The init functions of one file by the places of their marks. Made at the first look-up: most
// startups have no such mark. Does not own the facts.
class InitFunctionIndex {
 public:
  InitFunctionIndex() = default;
  explicit InitFunctionIndex(const ImageFacts* facts) : facts_(facts) {}

  // By link-time address; nullptr: no mark lies there.
  [[nodiscard]] const InitFunction* Find(uint64_t address);

 private:
  const ImageFacts* facts_ = nullptr;  // nullptr: not known
  bool made_ = false;
  absl::flat_hash_map<uint64_t, const InitFunction*> by_site_;
};

// Time blocked and faults between two readings at which the main thread began and ended a call,
// whose duration is set.
void SetUsage(const Counters& from, const Counters& to, InitCall* call);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_INIT_CALL_H_
