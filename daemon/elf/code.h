// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Reading x86-64 instructions: which one may carry a probe, where calls go, what a start-up stub
// loads. A thin layer over the disassembler library, which sees only bounded byte vectors.

#ifndef STARTSCOPE_DAEMON_ELF_CODE_H_
#define STARTSCOPE_DAEMON_ELF_CODE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "daemon/elf/image_facts.h"

namespace startscope {

struct Instruction {
  uint64_t address = 0;
  uint8_t length = 0;
  // The kernel emulates it under a uprobe instead of single-stepping (arch/x86/kernel/uprobes.c:
  // nop, push of a register, relative call, jmp and jcc).
  bool emulated = false;
  bool is_call = false;
  bool is_return = false;
  bool ends_straight_line = false;  // any transfer of control
  // Target of a relative call or unconditional jump.
  std::optional<uint64_t> target;
  bool is_jump = false;
  // `lea disp(%rip), reg` or `mov $imm, reg`: the address put into a register, by its hardware
  // number (rdi = 7); -1: no such instruction.
  int loads_register = -1;
  uint64_t loaded_address = 0;
  // `mov disp(%rip), reg`: the register and the address read.
  int loads_memory_register = -1;
  uint64_t loaded_from = 0;
  // `movl $imm32, disp(%reg)`: the immediate and displacement.
  bool stores_immediate = false;
  uint32_t stored_immediate = 0;
  int64_t store_displacement = 0;
};

// Decodes forward from `address` over `bytes` until `visit` returns false, the bytes end, or one
// does not decode. With `resync`, what does not decode is skipped a byte at a time instead.
void VisitInstructions(std::span<const uint8_t> bytes, uint64_t address, bool resync,
                       const std::function<bool(const Instruction&)>& visit);

struct ProbePoint {
  uint64_t address = 0;
  uint32_t skew_bytes = 0;
  StepCost cost = StepCost::kSingleStepped;
};

// The best instruction to probe for an event at `address`: itself when it is emulated, otherwise the
// first emulated one that is reached in a straight line within 48 bytes, otherwise itself.
ProbePoint ChooseProbePoint(std::span<const uint8_t> bytes, uint64_t address);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_CODE_H_
