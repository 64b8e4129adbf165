// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/phase_policy.h"

namespace startscope {
namespace {

// glibc runs the libraries' constructors before it jumps to the executable's entry point
// (elf/rtld.c, _dl_start_user).
constexpr PhaseRule kDynamic[] = {
    {Phase::kKernelExec, Moment::kExecBegin},
    {Phase::kLoaderBootstrap, Moment::kFirstInstruction},
    {Phase::kDependencyMapping, Moment::kDependenciesBegin},
    {Phase::kRelocation, Moment::kDependenciesMapped},
    {Phase::kConstructors, Moment::kRelocated},
    {Phase::kRuntimeInit, Moment::kEntry},
    {Phase::kMain, Moment::kMain},
};

// musl runs all constructors from __libc_start_main, after the entry point
// (src/env/__libc_start_main.c, libc_start_init).
constexpr PhaseRule kMuslDynamic[] = {
    {Phase::kKernelExec, Moment::kExecBegin},
    {Phase::kLoaderBootstrap, Moment::kFirstInstruction},
    {Phase::kDependencyMapping, Moment::kDependenciesBegin},
    {Phase::kRelocation, Moment::kDependenciesMapped},
    {Phase::kRuntimeInit, Moment::kEntry},
    {Phase::kConstructors, Moment::kLibcStart},
    {Phase::kMain, Moment::kMain},
};

constexpr PhaseRule kStatic[] = {
    {Phase::kKernelExec, Moment::kExecBegin},
    {Phase::kRuntimeInit, Moment::kFirstInstruction},
    {Phase::kMain, Moment::kMain},
};

constexpr PhaseRule kStaticPie[] = {
    {Phase::kKernelExec, Moment::kExecBegin},
    {Phase::kRelocation, Moment::kFirstInstruction},
    {Phase::kRuntimeInit, Moment::kSelfRelocated},
    {Phase::kMain, Moment::kMain},
};

}  // namespace

std::span<const PhaseRule> PhasePolicyFor(const RuntimeInfo& runtime, bool entry_is_main) {
  switch (runtime.linkage) {
    case Linkage::kDynamic:
      if (runtime.libc == Libc::kMusl) return kMuslDynamic;
      return kDynamic;
    case Linkage::kStaticPie:
      // Nothing relocates a program that has no start code.
      if (entry_is_main) return kStatic;
      return kStaticPie;
    default:
      return kStatic;
  }
}

}  // namespace startscope
