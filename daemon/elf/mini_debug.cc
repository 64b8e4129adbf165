// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/elf/mini_debug.h"

#include <lzma.h>

#include <algorithm>

namespace startscope {
namespace {

constexpr uint64_t kMaxCompressedBytes = 16u << 20;
constexpr uint64_t kMaxUnpackedBytes = 64u << 20;
constexpr uint64_t kMaxDecoderBytes = 64u << 20;
// Symbol tables shrink to a tenth or so: what claims much more is made to be costly.
constexpr uint64_t kMaxRatio = 64;
constexpr size_t kChunkBytes = 256u << 10;

// Frees what the decoder has, however it ends.
class Decoder {
 public:
  Decoder() { ready_ = lzma_stream_decoder(&stream_, kMaxDecoderBytes, 0) == LZMA_OK; }
  ~Decoder() { lzma_end(&stream_); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  [[nodiscard]] bool ready() const { return ready_; }
  lzma_stream* operator->() { return &stream_; }
  lzma_ret Continue() { return lzma_code(&stream_, LZMA_FINISH); }

 private:
  lzma_stream stream_ = LZMA_STREAM_INIT;
  bool ready_ = false;
};

}  // namespace

std::vector<uint8_t> ReadMiniDebug(ElfFile* image) {
  const ElfSection* section = image->FindSection(".gnu_debugdata");
  if (section == nullptr) return {};
  const std::vector<uint8_t> packed = image->ReadSection(*section, kMaxCompressedBytes);
  Decoder decoder;
  if (packed.empty() || !decoder.ready()) return {};
  const uint64_t limit = std::min(kMaxUnpackedBytes, packed.size() * kMaxRatio);
  decoder->next_in = packed.data();
  decoder->avail_in = packed.size();
  std::vector<uint8_t> unpacked;
  size_t done = 0;
  while (done < limit) {
    unpacked.resize(std::min<uint64_t>(limit, done + kChunkBytes));
    decoder->next_out = unpacked.data() + done;
    decoder->avail_out = unpacked.size() - done;
    const lzma_ret result = decoder.Continue();
    done = unpacked.size() - decoder->avail_out;
    if (result == LZMA_STREAM_END) {
      unpacked.resize(done);
      return unpacked;
    }
    if (result != LZMA_OK) return {};
  }
  return {};
}

}  // namespace startscope
