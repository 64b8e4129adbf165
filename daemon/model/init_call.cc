// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/init_call.h"

#include <algorithm>

namespace startscope {
namespace {

uint64_t Delta(uint64_t later, uint64_t earlier) { return later - std::min(later, earlier); }

}  // namespace

bool HasInitSites(const ImageFacts& facts) {
  return std::any_of(facts.init_functions.begin(), facts.init_functions.end(),
                     [](const InitFunction& one) { return one.site.kind != MarkKind::kNone; });
}

const InitFunction* InitFunctionIndex::Find(uint64_t address) {
  if (facts_ == nullptr) return nullptr;
  if (!made_) {
    made_ = true;
    for (const InitFunction& function : facts_->init_functions) {
      if (function.site.kind != MarkKind::kNone) by_site_.emplace(function.site.address, &function);
    }
  }
  const auto found = by_site_.find(address);
  return found == by_site_.end() ? nullptr : found->second;
}

void SetUsage(const Counters& from, const Counters& to, InitCall* call) {
  const uint64_t off_ns = Delta(to.off_cpu_ns, from.off_cpu_ns);
  const uint64_t queued_ns = Delta(to.run_delay_ns, from.run_delay_ns);
  call->blocked_ns = std::min(*call->duration_ns, Delta(off_ns, queued_ns));
  call->minor_faults = Delta(to.minor_faults, from.minor_faults);
  call->major_faults = Delta(to.major_faults, from.major_faults);
}

}  // namespace startscope
