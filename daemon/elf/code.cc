// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/elf/code.h"

#include <Zydis/Zydis.h>

#include <algorithm>

namespace startscope {
namespace {

constexpr uint64_t kMaxSkewBytes = 48;

struct Prefixes {
  bool refused = false;  // is_prefix_bad(): the kernel places no probe here
  bool operand_size = false;
  uint8_t rex = 0;
};

Prefixes PrefixesOf(const ZydisDecodedInstruction& decoded) {
  Prefixes result;
  for (int i = 0; i < decoded.raw.prefix_count; ++i) {
    const uint8_t value = decoded.raw.prefixes[i].value;
    result.refused |= value == 0x26 || value == 0x2e || value == 0x36 || value == 0x3e ||
                      value == 0xf0;  // ES, CS, SS, DS, LOCK
    result.operand_size |= value == 0x66;
    if ((value & 0xf0) == 0x40) result.rex = value;
  }
  return result;
}

bool IsConditionalJump(const ZydisDecodedInstruction& decoded) {
  return (decoded.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && decoded.opcode >= 0x70 &&
          decoded.opcode <= 0x7f) ||
         (decoded.opcode_map == ZYDIS_OPCODE_MAP_0F && decoded.opcode >= 0x80 &&
          decoded.opcode <= 0x8f);
}

bool IsRelativeTransfer(const ZydisDecodedInstruction& decoded) {
  const bool plain = decoded.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT &&
                     (decoded.opcode == 0xe8 || decoded.opcode == 0xe9 || decoded.opcode == 0xeb);
  return plain || IsConditionalJump(decoded);
}

bool IsOneByteNop(const ZydisDecodedInstruction& decoded) {
  return decoded.mnemonic == ZYDIS_MNEMONIC_NOP && decoded.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT &&
         decoded.opcode == 0x90;
}

// branch_setup_xol_ops() and push_setup_xol_ops(). Multi-byte nops are emulated from Linux 6.16 on
// only: they do not count, and a site moves on past them.
bool IsEmulated(const ZydisDecodedInstruction& decoded, const Prefixes& prefixes) {
  if (decoded.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) return false;
  if (IsOneByteNop(decoded) || IsRelativeTransfer(decoded)) return !prefixes.operand_size;
  if (decoded.mnemonic == ZYDIS_MNEMONIC_PUSH && decoded.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT &&
      decoded.opcode >= 0x50 && decoded.opcode <= 0x57) {
    return decoded.length == 1 || (decoded.length == 2 && prefixes.rex == 0x41);
  }
  return false;
}

// What arch_uprobe_analyze_insn() accepts, on the cautious side: kernels before 6.2 refuse every
// branch and one-byte nop with an operand-size prefix, and vector opcodes are looked up in the
// table of the plain ones, where some are forbidden.
bool IsProbeable(const ZydisDecodedInstruction& decoded, const Prefixes& prefixes) {
  if (prefixes.refused || decoded.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) return false;
  if (prefixes.operand_size && (IsOneByteNop(decoded) || IsRelativeTransfer(decoded))) return false;
  switch (decoded.meta.category) {
    case ZYDIS_CATEGORY_INTERRUPT:
    case ZYDIS_CATEGORY_IO:
    case ZYDIS_CATEGORY_IOSTRINGOP:
    case ZYDIS_CATEGORY_SYSTEM:
      return false;
    default:
      break;
  }
  return decoded.mnemonic != ZYDIS_MNEMONIC_HLT && decoded.mnemonic != ZYDIS_MNEMONIC_UD0 &&
         decoded.mnemonic != ZYDIS_MNEMONIC_UD1 && decoded.mnemonic != ZYDIS_MNEMONIC_UD2 &&
         decoded.mnemonic != ZYDIS_MNEMONIC_INVALID;
}

void DescribeLoad(const ZydisDecodedInstruction& decoded, const ZydisDecodedOperand* operands,
                  uint64_t address, Instruction* result) {
  const int id = ZydisRegisterGetId(operands[0].reg.value);
  const bool from_memory =
      operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY && operands[1].mem.base == ZYDIS_REGISTER_RIP;
  uint64_t absolute = 0;
  if (from_memory &&
      !ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&decoded, &operands[1], address, &absolute))) {
    return;
  }
  if (decoded.mnemonic == ZYDIS_MNEMONIC_LEA && from_memory) {
    result->loads_register = id;
    result->loaded_address = absolute;
  } else if (decoded.mnemonic == ZYDIS_MNEMONIC_MOV && from_memory) {
    result->loads_memory_register = id;
    result->loaded_from = absolute;
  } else if (decoded.mnemonic == ZYDIS_MNEMONIC_MOV &&
             operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
    result->loads_register = id;
    result->loaded_address = operands[1].imm.value.u;
  } else if (decoded.mnemonic == ZYDIS_MNEMONIC_XOR &&
             operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
             operands[1].reg.value == operands[0].reg.value) {
    result->loads_register = id;
  } else if (decoded.mnemonic == ZYDIS_MNEMONIC_MOVSXD &&
             operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER) {
    result->widens_register = ZydisRegisterGetId(operands[1].reg.value);
  }
}

uint32_t WrittenRegisters(const ZydisDecodedInstruction& decoded,
                          const ZydisDecodedOperand* operands) {
  uint32_t written = 0;
  for (int i = 0; i < decoded.operand_count; ++i) {
    const ZydisDecodedOperand& operand = operands[i];
    if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) continue;
    if ((operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) == 0) continue;
    const ZydisRegister whole =
        ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, operand.reg.value);
    if (ZydisRegisterGetClass(whole) != ZYDIS_REGCLASS_GPR64) continue;
    written |= 1u << static_cast<unsigned>(ZydisRegisterGetId(whole));
  }
  return written;
}

Instruction Describe(const ZydisDecodedInstruction& decoded, const ZydisDecodedOperand* operands,
                     uint64_t address) {
  const Prefixes prefixes = PrefixesOf(decoded);
  Instruction result;
  result.address = address;
  result.length = decoded.length;
  result.probeable = IsProbeable(decoded, prefixes);
  result.emulated = result.probeable && IsEmulated(decoded, prefixes);
  result.is_call = decoded.meta.category == ZYDIS_CATEGORY_CALL;
  result.is_jump = decoded.meta.category == ZYDIS_CATEGORY_UNCOND_BR;
  result.is_conditional = decoded.meta.category == ZYDIS_CATEGORY_COND_BR;
  result.is_return = decoded.meta.category == ZYDIS_CATEGORY_RET;
  result.ends_straight_line = result.is_call || result.is_jump || result.is_return ||
                              result.is_conditional || decoded.mnemonic == ZYDIS_MNEMONIC_HLT ||
                              decoded.mnemonic == ZYDIS_MNEMONIC_UD2 ||
                              decoded.meta.category == ZYDIS_CATEGORY_INTERRUPT ||
                              decoded.mnemonic == ZYDIS_MNEMONIC_SYSCALL;
  if (decoded.operand_count == 0) return result;
  result.written_registers = WrittenRegisters(decoded, operands);
  uint64_t absolute = 0;
  if ((result.is_call || result.is_jump || result.is_conditional) &&
      operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
      ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&decoded, &operands[0], address, &absolute))) {
    result.target = absolute;
  }
  if (decoded.operand_count < 2) return result;
  if (operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER) {
    DescribeLoad(decoded, operands, address, &result);
  }
  if (decoded.mnemonic == ZYDIS_MNEMONIC_MOV && operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
      operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
    result.stored_bits = operands[0].size;
    result.stored_immediate = operands[1].imm.value.u;
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
    const ZyanStatus status =
        ZydisDecoderDecodeFull(&decoder, bytes.data() + at, bytes.size() - at, &decoded, operands);
    if (!ZYAN_SUCCESS(status)) {
      if (!resync) return;
      ++at;
      continue;
    }
    if (!visit(Describe(decoded, operands, address + at))) return;
    at += decoded.length;
  }
}

std::vector<uint64_t> BranchTargets(std::span<const uint8_t> bytes, uint64_t address) {
  std::vector<uint64_t> targets;
  VisitInstructions(bytes, address, /*resync=*/true, [&](const Instruction& step) {
    if ((step.is_jump || step.is_conditional) && step.target) targets.push_back(*step.target);
    return true;
  });
  std::sort(targets.begin(), targets.end());
  return targets;
}

std::optional<ProbePoint> ChooseProbePoint(std::span<const uint8_t> bytes, uint64_t address,
                                           std::span<const uint64_t> branch_targets,
                                           uint32_t kept_registers) {
  const auto joined = std::upper_bound(branch_targets.begin(), branch_targets.end(), address);
  const uint64_t limit = joined == branch_targets.end() ? UINT64_MAX : *joined;
  std::optional<ProbePoint> point;
  VisitInstructions(bytes, address, /*resync=*/false, [&](const Instruction& step) {
    const uint64_t skew = step.address - address;
    if (skew > kMaxSkewBytes || step.address >= limit) return false;
    if (step.emulated || (step.probeable && !point)) {
      point = ProbePoint{step.address, static_cast<uint32_t>(skew),
                         step.emulated ? StepCost::kEmulated : StepCost::kSingleStepped};
    }
    return !step.emulated && !step.ends_straight_line &&
           (step.written_registers & kept_registers) == 0;
  });
  return point;
}

}  // namespace startscope
