// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/load_cost_text.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "client/render/names.h"
#include "client/render/text_startup.h"
#include "client/render/units.h"

namespace startscope {
namespace {

using startscope::v1::BoundarySource;
using startscope::v1::MappedObject;

// What such a source means for an object's relocation or constructors.
std::string Meaning(BoundarySource source) {
  switch (source) {
    case startscope::v1::BOUNDARY_SOURCE_MAPPING:
      return "until RELRO was protected";
    case startscope::v1::BOUNDARY_SOURCE_FIRST_FAULT:
      return "from its first instruction fetch";
    default:
      return SourceName(source);
  }
}

}  // namespace

bool IsIndirect(BoundarySource source) {
  return source == startscope::v1::BOUNDARY_SOURCE_MAPPING ||
         source == startscope::v1::BOUNDARY_SOURCE_FIRST_FAULT ||
         source == startscope::v1::BOUNDARY_SOURCE_INFERRED;
}

std::string CostText(const std::optional<uint64_t>& time_ns, bool indirect,
                     const TerminalStyle& terminal) {
  if (!time_ns.has_value()) return terminal.glyphs.unmeasured;
  return absl::StrCat(indirect ? kIndirect : "", FormatDuration(*time_ns, terminal.glyphs));
}

std::vector<std::string> CostItems(const LoadCost& cost, const TerminalStyle& terminal) {
  if (!cost.total_ns().has_value()) return {terminal.glyphs.unmeasured};
  std::vector<std::string> items = {FormatDuration(*cost.total_ns(), terminal.glyphs)};
  const auto add = [&](const char* name, const std::optional<uint64_t>& part) {
    if (part.has_value()) {
      items.push_back(absl::StrCat(name, " ", FormatDuration(*part, terminal.glyphs)));
    }
  };
  add("map", cost.mapping_ns);
  add("relocate", cost.relocation_ns);
  add("init", cost.constructor_ns);
  return items;
}

std::string RenderIndirectLegend(const google::protobuf::RepeatedPtrField<MappedObject>& objects,
                                 const TerminalStyle& terminal) {
  std::set<BoundarySource> relocation;
  std::set<BoundarySource> constructors;
  for (const MappedObject& object : objects) {
    if (object.has_relocation_ns() && IsIndirect(object.relocation_source())) {
      relocation.insert(object.relocation_source());
    }
    if (object.has_constructor_ns() && IsIndirect(object.constructor_source())) {
      constructors.insert(object.constructor_source());
    }
  }
  std::vector<std::string> items;
  for (const BoundarySource source : relocation) items.push_back("relocate " + Meaning(source));
  for (const BoundarySource source : constructors) items.push_back("init " + Meaning(source));
  return items.empty() ? ""
                       : RenderItems(absl::StrCat(kIndirect, " not by a mark"), items, terminal);
}

}  // namespace startscope
