// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_PRIVILEGE_CAPABILITIES_H_
#define STARTSCOPE_DAEMON_PRIVILEGE_CAPABILITIES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace startscope {

// A set of Linux capabilities, one bit each, numbered as in <linux/capability.h>. A value.
class CapabilitySet {
 public:
  CapabilitySet() = default;
  explicit CapabilitySet(uint64_t bits) : bits_(bits) {}

  void Add(int capability) { bits_ |= uint64_t{1} << capability; }
  void Remove(int capability) { bits_ &= ~(uint64_t{1} << capability); }
  [[nodiscard]] bool Has(int capability) const { return (bits_ >> capability & 1) != 0; }
  [[nodiscard]] bool empty() const { return bits_ == 0; }
  [[nodiscard]] uint64_t bits() const { return bits_; }
  // "CAP_BPF" and so on, in the kernel's order; "CAP_63" for one that this program has no name for.
  [[nodiscard]] std::vector<std::string> Names() const;

  friend CapabilitySet operator&(CapabilitySet a, CapabilitySet b) {
    return CapabilitySet(a.bits_ & b.bits_);
  }
  friend CapabilitySet operator-(CapabilitySet a, CapabilitySet b) {
    return CapabilitySet(a.bits_ & ~b.bits_);
  }
  friend bool operator==(CapabilitySet, CapabilitySet) = default;

 private:
  uint64_t bits_ = 0;
};

struct ThreadCapabilities {
  CapabilitySet effective;
  CapabilitySet permitted;
  CapabilitySet inheritable;
};

// Those of the calling thread (capget(2), capset(2)): capabilities belong to threads.
absl::StatusOr<ThreadCapabilities> ReadCapabilities();
absl::Status SetCapabilities(const ThreadCapabilities& wanted);

// Takes the capabilities that look past file permissions out of this thread's effective set for as
// long as it lives: what it opens in between, everybody else could open too.
class ScopedFilePermissions {
 public:
  ScopedFilePermissions();
  ~ScopedFilePermissions();
  ScopedFilePermissions(const ScopedFilePermissions&) = delete;
  ScopedFilePermissions& operator=(const ScopedFilePermissions&) = delete;

  // False: the capabilities are still there.
  [[nodiscard]] bool in_force() const { return in_force_; }

 private:
  ThreadCapabilities before_;
  bool in_force_ = false;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_PRIVILEGE_CAPABILITIES_H_
