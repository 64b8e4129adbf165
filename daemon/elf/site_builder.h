// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_ELF_SITE_BUILDER_H_
#define STARTSCOPE_DAEMON_ELF_SITE_BUILDER_H_

#include <optional>
#include <string>

#include "daemon/elf/code.h"
#include "daemon/elf/elf_file.h"
#include "daemon/elf/image_facts.h"

namespace startscope {

// Where to probe for an event at `address`: on an instruction of executable code, reached from the
// event in a straight line and, as far as direct jumps tell, only from it; `kept_registers` (bit
// per hardware number) are there as they were at the event. nullopt: nowhere.
std::optional<ProbePoint> FindProbePoint(ElfFile* file, uint64_t address,
                                         uint32_t kept_registers = 0);

// How many bytes of code, at most, finding a probe point for `address` looks through.
uint64_t ProbePointCost(ElfFile* file, uint64_t address);

// A site at `point`; nullopt when it lies outside executable code.
std::optional<MarkSite> MakeSite(ElfFile* file, MarkKind kind, SiteRung rung,
                                 const ProbePoint& point, const std::string& symbol);

// Adds a site for an event at `address`, moved to the cheapest instruction near it; nothing when
// there is no place for a probe or the kind already has a site.
void AddSite(ElfFile* file, MarkKind kind, SiteRung rung, uint64_t address,
             const std::string& symbol, ImageFacts* facts, uint32_t kept_registers = 0);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_SITE_BUILDER_H_
