// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_ELF_SITE_BUILDER_H_
#define STARTSCOPE_DAEMON_ELF_SITE_BUILDER_H_

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "daemon/elf/code.h"
#include "daemon/elf/elf_file.h"
#include "daemon/elf/image_facts.h"

namespace startscope {

inline constexpr uint64_t kProbeWindowBytes = 96;

// Adds a site for an event at `address`, moved to the cheapest instruction near it; nothing when the
// address is not in the file's executable code or the kind already has a site.
inline void AddSite(ElfFile* file, MarkKind kind, SiteRung rung, uint64_t address,
                    const std::string& symbol, ImageFacts* facts) {
  const bool known = std::any_of(facts->sites.begin(), facts->sites.end(),
                                 [&](const MarkSite& site) { return site.kind == kind; });
  if (known || !file->CodeOffset(address)) return;
  const std::vector<uint8_t> code = file->ReadAtAddress(address, kProbeWindowBytes);
  const ProbePoint point = ChooseProbePoint(code, address);
  const std::optional<uint64_t> offset = file->CodeOffset(point.address);
  if (!offset) return;
  MarkSite site;
  site.kind = kind;
  site.rung = rung;
  site.cost = point.cost;
  site.file_offset = *offset;
  site.address = point.address;
  site.skew_bytes = point.skew_bytes;
  site.symbol = symbol;
  facts->sites.push_back(std::move(site));
}

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_SITE_BUILDER_H_
