// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/invoked_loader.h"

#include <sys/mman.h>

namespace startscope {
namespace {

constexpr uint64_t kPageMask = 4096 - 1;

// The first file that is mapped to be executed after exec and is not the loader.
const MappingEvent* FirstProgram(const Evidence& evidence) {
  for (const auto& mapping : evidence.mappings) {
    if (mapping.boottime_ns < evidence.exec_boottime_ns) continue;
    const MappingEvent& value = mapping.value;
    if (value.file.inode == 0 || value.file == evidence.exec.executable) continue;
    if ((value.prot & PROT_EXEC) != 0) return &value;
  }
  return nullptr;
}

// Where the begin of a file lies, with its ELF header.
uint64_t AddressOfHeader(const Evidence& evidence, const FileId& file) {
  for (const auto& mapping : evidence.mappings) {
    if (mapping.boottime_ns < evidence.exec_boottime_ns) continue;
    if (mapping.value.file == file && mapping.value.file_offset == 0) return mapping.value.address;
  }
  return 0;
}

}  // namespace

bool TakeInvokedProgram(const ImageFacts& loader, Evidence* evidence) {
  ExecEvent& exec = evidence->exec;
  if (exec.at_base != 0 || loader.kind != ImageKind::kLoader) return false;
  const MappingEvent* program = FirstProgram(*evidence);
  if (program == nullptr) return false;
  const uint64_t header = AddressOfHeader(*evidence, program->file);
  if (header == 0) return false;
  exec.at_base = (exec.at_phdr != 0 ? exec.at_phdr - loader.phdr_address
                                    : exec.at_entry - loader.entry_address);
  // Below its first byte, if the file lies about its addresses.
  if (exec.at_base == 0) return false;
  exec.executable = program->file;
  exec.at_phdr = header;
  exec.at_entry = 0;
  evidence->loader_invoked = true;
  return true;
}

uint64_t EntryAddress(const Evidence& evidence, const ImageFacts* executable) {
  const ExecEvent& exec = evidence.exec;
  if (exec.at_entry != 0 || !evidence.loader_invoked || executable == nullptr) return exec.at_entry;
  for (const LoadSegment& segment : executable->segments) {
    if (segment.file_offset > kPageMask) continue;
    return exec.at_phdr - (segment.address & ~kPageMask) + executable->entry_address;
  }
  return 0;
}

}  // namespace startscope
