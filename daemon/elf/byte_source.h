// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_ELF_BYTE_SOURCE_H_
#define STARTSCOPE_DAEMON_ELF_BYTE_SOURCE_H_

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>

namespace startscope {

// Where an ELF reader gets its bytes: a file by descriptor, or memory in tests and fuzzers. Counts
// what was read; past its budget it reads nothing more, so that no file can make a reader work for
// ever. One thread.
class ByteSource {
 public:
  virtual ~ByteSource() = default;

  [[nodiscard]] uint64_t size() const { return size_; }
  // True when all of [offset, offset + out.size()) was there and within the budget.
  bool Read(uint64_t offset, std::span<uint8_t> out) {
    if (out.size() > budget_bytes_ || offset > size_ || out.size() > size_ - offset) return false;
    budget_bytes_ -= out.size();
    return ReadAt(offset, out);
  }

 protected:
  ByteSource(uint64_t size, uint64_t budget_bytes) : size_(size), budget_bytes_(budget_bytes) {}
  virtual bool ReadAt(uint64_t offset, std::span<uint8_t> out) = 0;

 private:
  const uint64_t size_;
  uint64_t budget_bytes_;
};

inline constexpr uint64_t kReadBudgetBytes = 96u << 20;

// Does not own the descriptor. A file that shrinks meanwhile gives failed reads, never a signal:
// nothing is mapped.
class FdByteSource : public ByteSource {
 public:
  FdByteSource(int fd, uint64_t size) : ByteSource(size, kReadBudgetBytes), fd_(fd) {}

 protected:
  bool ReadAt(uint64_t offset, std::span<uint8_t> out) override {
    size_t done = 0;
    while (done < out.size()) {
      const ssize_t got =
          pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
      if (got <= 0) return false;
      done += static_cast<size_t>(got);
    }
    return true;
  }

 private:
  const int fd_;
};

// Does not own the memory.
class MemoryByteSource : public ByteSource {
 public:
  explicit MemoryByteSource(std::span<const uint8_t> bytes)
      : ByteSource(bytes.size(), kReadBudgetBytes), bytes_(bytes) {}

 protected:
  bool ReadAt(uint64_t offset, std::span<uint8_t> out) override {
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    return true;
  }

 private:
  const std::span<const uint8_t> bytes_;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_BYTE_SOURCE_H_
