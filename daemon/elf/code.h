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
  // Every supported kernel emulates it under a uprobe instead of single-stepping
  // (arch/x86/kernel/uprobes.c: one-byte nop, push of a register, relative call, jmp and jcc).
  bool emulated = false;
  // Every supported kernel accepts a uprobe on it.
  bool probeable = false;
  bool is_call = false;
  bool is_return = false;
  bool ends_straight_line = false;  // any transfer of control
  // Target of a relative call or jump.
  std::optional<uint64_t> target;
  bool is_jump = false;         // unconditional
  bool is_conditional = false;  // a conditional jump
  // `lea disp(%rip), reg`, `mov $imm, reg` or `xor reg, reg`: the address or number put into a
  // register, by its hardware number (rdi = 7); -1: no such instruction.
  int loads_register = -1;
  uint64_t loaded_address = 0;
  // `mov disp(%rip), reg`: the register and the address read.
  int loads_memory_register = -1;
  uint64_t loaded_from = 0;
  // `movslq %r32, %r64`: the hardware number of the source; -1: no such instruction.
  int widens_register = -1;
  // `mov $imm, disp(%reg)`: width of the store, 0 if it is none, immediate (sign-extended) and
  // displacement.
  uint32_t stored_bits = 0;
  uint64_t stored_immediate = 0;
  int64_t store_displacement = 0;
  // General registers that it writes to, in whole or in part; bit per hardware number.
  uint32_t written_registers = 0;
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

// Where the relative jumps in `bytes` lead, ascending.
std::vector<uint64_t> BranchTargets(std::span<const uint8_t> bytes, uint64_t address);

// The best instruction to probe for an event at `address`: itself when it is emulated, otherwise
// the first emulated one that is reached in a straight line within 48 bytes, otherwise the first
// that accepts a probe at all. Never goes past one of `branch_targets` (ascending) behind
// `address`: what lies there may run without the event, or once for every turn of a loop. Nor past
// an instruction that writes to one of `kept_registers` (bit per hardware number).
std::optional<ProbePoint> ChooseProbePoint(std::span<const uint8_t> bytes, uint64_t address,
                                           std::span<const uint64_t> branch_targets,
                                           uint32_t kept_registers = 0);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_CODE_H_
