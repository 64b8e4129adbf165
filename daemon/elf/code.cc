// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/elf/code.h"

#include <Zydis/Zydis.h>

namespace startscope {
namespace {

constexpr uint64_t kMaxSkewBytes = 48;

bool IsEmulated(const ZydisDecodedInstruction& decoded) {
  // Prefixes other than those of a plain multi-byte nop send the kernel to single-stepping.
  switch (decoded.mnemonic) {
    case ZYDIS_MNEMONIC_NOP:
      // The kernel's insn_is_nop() knows 0x90 and 0x0f 0x1f; endbr64 and the like are not among them.
      return decoded.opcode == 0x90 ||
             (decoded.opcode_map == ZYDIS_OPCODE_MAP_0F && decoded.opcode == 0x1f);
    case ZYDIS_MNEMONIC_PUSH:
      return decoded.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && decoded.opcode >= 0x50 &&
             decoded.opcode <= 0x57;
    case ZYDIS_MNEMONIC_CALL:
      return decoded.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && decoded.opcode == 0xe8;
    case ZYDIS_MNEMONIC_JMP:
      return decoded.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT &&
             (decoded.opcode == 0xe9 || decoded.opcode == 0xeb);
    default:
      break;
  }
  if (decoded.meta.category != ZYDIS_CATEGORY_COND_BR) return false;
  return (decoded.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && decoded.opcode >= 0x70 &&
          decoded.opcode <= 0x7f) ||
         (decoded.opcode_map == ZYDIS_OPCODE_MAP_0F && decoded.opcode >= 0x80 &&
          decoded.opcode <= 0x8f);
}

Instruction Describe(const ZydisDecodedInstruction& decoded, const ZydisDecodedOperand* operands,
                     uint64_t address) {
  Instruction result;
  result.address = address;
  result.length = decoded.length;
  result.emulated = IsEmulated(decoded);
  result.is_call = decoded.meta.category == ZYDIS_CATEGORY_CALL;
  result.is_jump = decoded.meta.category == ZYDIS_CATEGORY_UNCOND_BR;
  result.is_return = decoded.meta.category == ZYDIS_CATEGORY_RET;
  result.ends_straight_line = result.is_call || result.is_jump || result.is_return ||
                              decoded.meta.category == ZYDIS_CATEGORY_COND_BR ||
                              decoded.mnemonic == ZYDIS_MNEMONIC_HLT ||
                              decoded.mnemonic == ZYDIS_MNEMONIC_UD2 ||
                              decoded.mnemonic == ZYDIS_MNEMONIC_SYSCALL;
  if (decoded.operand_count == 0) return result;
  uint64_t absolute = 0;
  if ((result.is_call || result.is_jump) && operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
      ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&decoded, &operands[0], address, &absolute))) {
    result.target = absolute;
  }
  if (decoded.operand_count < 2) return result;
  if (operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER) {
    const bool lea = decoded.mnemonic == ZYDIS_MNEMONIC_LEA &&
                     operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY &&
                     operands[1].mem.base == ZYDIS_REGISTER_RIP;
    const bool immediate = decoded.mnemonic == ZYDIS_MNEMONIC_MOV &&
                           operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
    if (lea && ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&decoded, &operands[1], address, &absolute))) {
      result.loads_register = ZydisRegisterGetId(operands[0].reg.value);
      result.loaded_address = absolute;
    } else if (immediate) {
      result.loads_register = ZydisRegisterGetId(operands[0].reg.value);
      result.loaded_address = operands[1].imm.value.u;
    } else if (decoded.mnemonic == ZYDIS_MNEMONIC_MOV &&
               operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY &&
               operands[1].mem.base == ZYDIS_REGISTER_RIP &&
               ZYAN_SUCCESS(
                   ZydisCalcAbsoluteAddress(&decoded, &operands[1], address, &absolute))) {
      result.loads_memory_register = ZydisRegisterGetId(operands[0].reg.value);
      result.loaded_from = absolute;
    }
  }
  if (decoded.mnemonic == ZYDIS_MNEMONIC_MOV && operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
      operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && operands[0].size == 32) {
    result.stores_immediate = true;
    result.stored_immediate = static_cast<uint32_t>(operands[1].imm.value.u);
    result.store_displacement = operands[0].mem.disp.value;
  }
  return result;
}

}  // namespace

void VisitInstructions(std::span<const uint8_t> bytes, uint64_t address, bool resync,
                       const std::function<bool(const Instruction&)>& visit) {
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  ZydisDecodedInstruction decoded;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  size_t at = 0;
  while (at < bytes.size()) {
    const ZyanStatus status = ZydisDecoderDecodeFull(
        &decoder, bytes.data() + at, bytes.size() - at, &decoded, operands);
    if (!ZYAN_SUCCESS(status)) {
      if (!resync) return;
      ++at;
      continue;
    }
    if (!visit(Describe(decoded, operands, address + at))) return;
    at += decoded.length;
  }
}

ProbePoint ChooseProbePoint(std::span<const uint8_t> bytes, uint64_t address) {
  ProbePoint point;
  point.address = address;
  VisitInstructions(bytes, address, /*resync=*/false, [&](const Instruction& instruction) {
    const uint64_t skew = instruction.address - address;
    if (skew > kMaxSkewBytes) return false;
    if (instruction.emulated) {
      point.address = instruction.address;
      point.skew_bytes = static_cast<uint32_t>(skew);
      point.cost = StepCost::kEmulated;
      return false;
    }
    return !instruction.ends_straight_line;
  });
  return point;
}

}  // namespace startscope
