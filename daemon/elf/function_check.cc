// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/elf/function_check.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "daemon/elf/code.h"

namespace startscope {
namespace {

// Decoding that begins inside an instruction falls into step after a few; this is some thousand.
constexpr uint64_t kRunUpBytes = 4096;
constexpr uint64_t kLongestInstruction = 15;

// Where decoding towards `address` begins; nullopt when it is no code of the file.
std::optional<uint64_t> RunUpFor(const ElfFile& image, uint64_t address) {
  for (const Elf64_Phdr& segment : image.segments()) {
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    if (address < segment.p_vaddr || address - segment.p_vaddr >= segment.p_filesz) continue;
    return address - std::min(address - segment.p_vaddr, kRunUpBytes);
  }
  return std::nullopt;
}

bool IsInstructionStart(ElfFile* image, uint64_t begin, uint64_t address) {
  const std::vector<uint8_t> code =
      image->ReadAtAddress(begin, address - begin + kLongestInstruction);
  bool starts = false;
  VisitInstructions(code, begin, /*resync=*/true, [&](const Instruction& step) {
    starts = step.address == address;
    return step.address < address;
  });
  return starts;
}

}  // namespace

bool MayBeginFunction(ElfFile* image, uint64_t address) {
  std::optional<uint64_t> begin = RunUpFor(*image, address);
  if (!begin) return false;
  const std::vector<uint64_t>& starts = image->FunctionStarts();
  if (std::binary_search(starts.begin(), starts.end(), address)) return true;
  if (const std::optional<AddressRange> before = image->DescribedFunctionBefore(address)) {
    if (address < before->end) return false;
    begin = std::max(*begin, before->end);
  }
  return IsInstructionStart(image, *begin, address);
}

}  // namespace startscope
