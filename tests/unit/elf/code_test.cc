// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Which instructions may carry a probe, and which place near an event is chosen. The expectations
// are those of the kernel (arch/x86/kernel/uprobes.c), for every supported release at once.

#include "daemon/elf/code.h"

#include <gtest/gtest.h>

#include <vector>

namespace startscope {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint64_t kBase = 0x1000;

Instruction Decode(const Bytes& bytes) {
  Instruction result;
  VisitInstructions(bytes, kBase, /*resync=*/false, [&](const Instruction& step) {
    result = step;
    return false;
  });
  EXPECT_EQ(result.length, bytes.size());
  return result;
}

Bytes Join(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

const Bytes kNop = {0x90};
const Bytes kPushRbx = {0x53};
const Bytes kMovRdiRax = {0x48, 0x89, 0xf8};
const Bytes kCallNext = {0xe8, 0, 0, 0, 0};
const Bytes kReturn = {0xc3};
const Bytes kIndirectCall = {0xff, 0xd0};
const Bytes kLongNop = {0x0f, 0x1f, 0x44, 0, 0};

TEST(CodeTest, KnowsWhatTheKernelEmulates) {
  for (const Bytes& bytes : {kNop, kPushRbx, Bytes{0x41, 0x57}, kCallNext, Bytes{0xe9, 1, 0, 0, 0},
                             Bytes{0xeb, 1}, Bytes{0x74, 1}, Bytes{0x0f, 0x85, 1, 0, 0, 0}}) {
    EXPECT_TRUE(Decode(bytes).emulated) << ::testing::PrintToString(bytes);
  }
}

TEST(CodeTest, KnowsWhichRegistersAreWritten) {
  constexpr uint32_t kRax = 1u << 0, kRcx = 1u << 1, kRdx = 1u << 2, kRsp = 1u << 4, kRdi = 1u << 7;
  constexpr uint32_t kR15 = 1u << 15;
  EXPECT_EQ(Decode(kMovRdiRax).written_registers, kRax);
  EXPECT_EQ(Decode(kPushRbx).written_registers, kRsp);
  EXPECT_EQ(Decode({0x49, 0x89, 0xff}).written_registers, kR15);         // mov %rdi, %r15
  EXPECT_EQ(Decode({0x40, 0xb7, 1}).written_registers, kRdi);            // mov $1, %dil
  EXPECT_EQ(Decode({0xb5, 1}).written_registers, kRcx);                  // mov $1, %ch
  EXPECT_EQ(Decode({0x48, 0xf7, 0xe1}).written_registers, kRax | kRdx);  // mul %rcx
  EXPECT_EQ(Decode({0x48, 0x87, 0xf8}).written_registers, kRax | kRdi);  // xchg %rdi, %rax
  EXPECT_EQ(Decode({0x48, 0x89, 0x07}).written_registers, 0u);           // mov %rax, (%rdi)
}

TEST(CodeTest, KnowsWhatTheKernelSingleSteps) {
  const Bytes endbr64 = {0xf3, 0x0f, 0x1e, 0xfa};
  const Bytes loop = {0xe2, 1};
  const Bytes push_memory = {0xff, 0x30};
  const Bytes push_immediate = {0x6a, 1};
  for (const Bytes& bytes :
       {endbr64, kMovRdiRax, kReturn, kIndirectCall, loop, push_memory, push_immediate}) {
    const Instruction step = Decode(bytes);
    EXPECT_FALSE(step.emulated) << ::testing::PrintToString(bytes);
    EXPECT_TRUE(step.probeable) << ::testing::PrintToString(bytes);
  }
}

TEST(CodeTest, CountsLongNopsAsSteppedBecauseOlderKernelsDo) {
  EXPECT_FALSE(Decode(kLongNop).emulated);
  EXPECT_TRUE(Decode(kLongNop).probeable);
}

TEST(CodeTest, KnowsWhatTheKernelRefuses) {
  const Bytes prefixed_nop = {0x66, 0x90};
  const Bytes prefixed_call = {0x66, 0xe8, 0, 0, 0, 0};
  const Bytes locked = {0xf0, 0x48, 0x0f, 0xb1, 0x0a};
  const Bytes segment_nop = {0x2e, 0x0f, 0x1f, 0x44, 0, 0};
  const Bytes hinted_branch = {0x3e, 0x74, 1};
  const Bytes breakpoint = {0xcc};
  const Bytes halt = {0xf4};
  const Bytes vector_move = {0xc5, 0xf9, 0x6f, 0xc1};
  for (const Bytes& bytes :
       {prefixed_nop, locked, segment_nop, hinted_branch, breakpoint, halt, vector_move}) {
    const Instruction step = Decode(bytes);
    EXPECT_FALSE(step.emulated) << ::testing::PrintToString(bytes);
    EXPECT_FALSE(step.probeable) << ::testing::PrintToString(bytes);
  }
  Instruction call;
  VisitInstructions(prefixed_call, kBase, false, [&](const Instruction& step) {
    call = step;
    return false;
  });
  EXPECT_FALSE(call.probeable);
}

TEST(CodeTest, StaysWhereTheEventIsWhenThatIsEmulated) {
  const auto point = ChooseProbePoint(Join({kPushRbx, kCallNext}), kBase, {});
  ASSERT_TRUE(point);
  EXPECT_EQ(point->address, kBase);
  EXPECT_EQ(point->cost, StepCost::kEmulated);
}

TEST(CodeTest, MovesToTheNextEmulatedInstruction) {
  const auto point = ChooseProbePoint(Join({kMovRdiRax, kMovRdiRax, kCallNext}), kBase, {});
  ASSERT_TRUE(point);
  EXPECT_EQ(point->address, kBase + 6);
  EXPECT_EQ(point->skew_bytes, 6u);
  EXPECT_EQ(point->cost, StepCost::kEmulated);
}

TEST(CodeTest, DoesNotMoveAcrossATransferOfControl) {
  const auto point = ChooseProbePoint(Join({kMovRdiRax, kIndirectCall, kNop}), kBase, {});
  ASSERT_TRUE(point);
  EXPECT_EQ(point->address, kBase);
  EXPECT_EQ(point->cost, StepCost::kSingleStepped);
}

TEST(CodeTest, DoesNotMoveFurtherThan48Bytes) {
  Bytes far;
  for (int i = 0; i < 17; ++i) far.insert(far.end(), kMovRdiRax.begin(), kMovRdiRax.end());
  far.push_back(0x90);
  const auto point = ChooseProbePoint(far, kBase, {});
  ASSERT_TRUE(point);
  EXPECT_EQ(point->address, kBase);
}

TEST(CodeTest, DoesNotGoPastAWriteToARegisterThatIsWanted) {
  constexpr uint32_t kRax = 1u << 0;
  constexpr uint32_t kRdi = 1u << 7;
  const Bytes code = Join({kLongNop, kMovRdiRax, kPushRbx});
  const auto wanted = ChooseProbePoint(code, kBase, {}, kRax);
  ASSERT_TRUE(wanted);
  EXPECT_EQ(wanted->skew_bytes, 0u);
  EXPECT_EQ(wanted->cost, StepCost::kSingleStepped);
  const auto other = ChooseProbePoint(code, kBase, {}, kRdi);
  ASSERT_TRUE(other);
  EXPECT_EQ(other->skew_bytes, 8u);
  EXPECT_EQ(other->cost, StepCost::kEmulated);
}

TEST(CodeTest, SkipsWhatRefusesAProbe) {
  const Bytes segment_nop = {0x2e, 0x0f, 0x1f, 0x44, 0, 0};
  const auto point = ChooseProbePoint(Join({segment_nop, kMovRdiRax, kReturn}), kBase, {});
  ASSERT_TRUE(point);
  EXPECT_EQ(point->address, kBase + 6);
  EXPECT_EQ(point->cost, StepCost::kSingleStepped);
  EXPECT_FALSE(ChooseProbePoint({std::vector<uint8_t>{0xcc, 0xc3}}, kBase, {}));
}

// main: mov; again: call; jne again. A probe on the call would be hit at every turn.
TEST(CodeTest, StaysOutOfLoops) {
  const Bytes code = Join({kMovRdiRax, kCallNext, {0x75, 0xf9}, kReturn});
  const std::vector<uint64_t> targets = BranchTargets(code, kBase);
  EXPECT_EQ(targets, (std::vector<uint64_t>{kBase + 3}));
  const auto point = ChooseProbePoint(code, kBase, targets);
  ASSERT_TRUE(point);
  EXPECT_EQ(point->address, kBase);
  EXPECT_EQ(point->cost, StepCost::kSingleStepped);
}

TEST(CodeTest, AJumpBackToTheEventItselfDoesNotMatter) {
  const Bytes code = Join({kMovRdiRax, kCallNext, {0xeb, 0xf6}});
  const auto point = ChooseProbePoint(code, kBase, BranchTargets(code, kBase));
  ASSERT_TRUE(point);
  EXPECT_EQ(point->address, kBase + 3);
}

TEST(CodeTest, ReadsWhatStartUpCodeLoads) {
  const Instruction lea = Decode({0x48, 0x8d, 0x3d, 0x10, 0, 0, 0});
  EXPECT_EQ(lea.loads_register, 7);
  EXPECT_EQ(lea.loaded_address, kBase + 7 + 0x10);
  const Instruction immediate = Decode({0x48, 0xc7, 0xc7, 0x34, 0x12, 0x40, 0});
  EXPECT_EQ(immediate.loads_register, 7);
  EXPECT_EQ(immediate.loaded_address, 0x401234u);
  const Instruction zero = Decode({0x31, 0xf6});
  EXPECT_EQ(zero.loads_register, 6);
  EXPECT_EQ(zero.loaded_address, 0u);
  const Instruction from_memory = Decode({0x48, 0x8b, 0x3d, 0x10, 0, 0, 0});
  EXPECT_EQ(from_memory.loads_memory_register, 7);
  EXPECT_EQ(from_memory.loaded_from, kBase + 7 + 0x10);
  const Instruction store = Decode({0xc7, 0x40, 0x18, 1, 0, 0, 0});
  EXPECT_EQ(store.stored_bits, 32u);
  EXPECT_EQ(store.stored_immediate, 1u);
  EXPECT_EQ(store.store_displacement, 0x18);
  EXPECT_EQ(Decode({0x48, 0x63, 0xd7}).widens_register, 7);
}

TEST(CodeTest, ResynchronisesAfterUndecodableBytes) {
  int seen = 0;
  VisitInstructions(Join({{0x06}, kPushRbx}), kBase, /*resync=*/true, [&](const Instruction&) {
    ++seen;
    return true;
  });
  EXPECT_EQ(seen, 1);
}

}  // namespace
}  // namespace startscope
