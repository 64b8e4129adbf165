// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/elf/site_builder.h"

#include <algorithm>
#include <vector>

namespace startscope {
namespace {

constexpr uint64_t kProbeWindowBytes = 96;

}  // namespace

std::optional<ProbePoint> FindProbePoint(ElfFile* file, uint64_t address, uint32_t kept_registers) {
  if (!file->CodeOffset(address)) return std::nullopt;
  const std::vector<uint8_t> code = file->ReadAtAddress(address, kProbeWindowBytes);
  // Jumps matter only where the probe would go elsewhere.
  const std::optional<ProbePoint> nearest = ChooseProbePoint(code, address, {}, kept_registers);
  if (!nearest || nearest->skew_bytes == 0) return nearest;
  const AddressRange function = file->FunctionAround(address);
  const std::vector<uint64_t> targets = BranchTargets(
      file->ReadAtAddress(function.begin, function.end - function.begin), function.begin);
  return ChooseProbePoint(code, address, targets, kept_registers);
}

uint64_t ProbePointCost(ElfFile* file, uint64_t address) {
  const AddressRange function = file->FunctionAround(address);
  return function.end - function.begin + kProbeWindowBytes;
}

std::optional<MarkSite> MakeSite(ElfFile* file, MarkKind kind, SiteRung rung,
                                 const ProbePoint& point, const std::string& symbol) {
  const std::optional<uint64_t> offset = file->CodeOffset(point.address);
  if (!offset) return std::nullopt;
  MarkSite site;
  site.kind = kind;
  site.rung = rung;
  site.cost = point.cost;
  site.file_offset = *offset;
  site.address = point.address;
  site.skew_bytes = point.skew_bytes;
  site.symbol = symbol;
  return site;
}

void AddSite(ElfFile* file, MarkKind kind, SiteRung rung, uint64_t address,
             const std::string& symbol, ImageFacts* facts, uint32_t kept_registers) {
  const bool known = std::any_of(facts->sites.begin(), facts->sites.end(),
                                 [&](const MarkSite& site) { return site.kind == kind; });
  if (known) return;
  const std::optional<ProbePoint> point = FindProbePoint(file, address, kept_registers);
  if (!point) return;
  std::optional<MarkSite> site = MakeSite(file, kind, rung, *point, symbol);
  if (site) facts->sites.push_back(*std::move(site));
}

}  // namespace startscope
