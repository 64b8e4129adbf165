// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/object_table.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/render/display_width.h"
#include "client/render/load_cost_text.h"
#include "client/render/load_graph.h"
#include "client/render/names.h"
#include "client/render/object_name.h"
#include "client/render/table.h"
#include "client/render/units.h"

namespace startscope {
namespace {

using startscope::v1::MappedObject;
using startscope::v1::Startup;

constexpr int kIndent = 2;
constexpr int kMaxRows = 8;
constexpr int kMinNameWidth = 14;
constexpr int kMinWidthForCosts = 76;

// A sum in which one unmeasured part makes the whole unmeasured.
struct Sum {
  bool measured = true;
  uint64_t value = 0;

  void Add(bool has, uint64_t more) {
    measured = measured && has;
    value += more;
  }
};

struct Row {
  std::string name;
  uint64_t minor = 0;
  uint64_t major = 0;
  Sum fault_ns{};
  Sum touched{};
  Sum mapped{};
  Sum dirtied{};  // only files have such pages
  Sum read{};
  LoadCost load{};
  bool indirect_relocation = false;
  bool indirect_constructors = false;

  void Add(const MappedObject& object) {
    minor += object.minor_faults();
    major += object.major_faults();
    fault_ns.Add(object.has_fault_ns(), object.fault_ns());
    touched.Add(object.has_pages_touched(), object.pages_touched());
    mapped.Add(object.has_pages_mapped(), object.pages_mapped());
    dirtied.Add(object.has_pages_dirtied() || object.inode() == 0, object.pages_dirtied());
    read.Add(object.has_pages_read() || object.inode() == 0, object.pages_read());
    load.Add(LoadCost::Of(object));
    indirect_relocation |= object.has_relocation_ns() && IsIndirect(object.relocation_source());
    indirect_constructors |= object.has_constructor_ns() && IsIndirect(object.constructor_source());
  }
};

std::string Pages(const Row& row, const Glyphs& glyphs) {
  if (!row.touched.measured && !row.mapped.measured) return glyphs.unmeasured;
  const auto text = [&](const Sum& sum) {
    return sum.measured ? absl::StrCat(sum.value) : glyphs.unmeasured;
  };
  return absl::StrCat(text(row.touched), " of ", text(row.mapped));
}

}  // namespace

std::string RenderObjectTable(const Startup& startup, const TerminalStyle& terminal) {
  const Glyphs& glyphs = terminal.glyphs;
  std::vector<Row> rows;
  const int shown = startup.objects_size() <= kMaxRows ? startup.objects_size() : kMaxRows - 1;
  for (int i = 0; i < shown; ++i) {
    Row row{.name = ObjectName(startup.objects(i), terminal.utf8)};
    row.Add(startup.objects(i));
    rows.push_back(std::move(row));
  }
  if (shown < startup.objects_size()) {
    Row rest{.name = absl::StrCat(startup.objects_size() - shown, " others")};
    for (int i = shown; i < startup.objects_size(); ++i) rest.Add(startup.objects(i));
    rows.push_back(std::move(rest));
  }
  const auto& unattributed = startup.unattributed();
  if (unattributed.minor() + unattributed.major() > 0) {
    Row row{.name = "not attributed", .minor = unattributed.minor(), .major = unattributed.major()};
    row.fault_ns.Add(unattributed.has_fault_ns(), unattributed.fault_ns());
    row.touched.measured = row.mapped.measured = false;
    row.dirtied.measured = row.read.measured = false;
    rows.push_back(std::move(row));
  }
  if (rows.empty()) return "";

  const bool costs = terminal.width >= kMinWidthForCosts;
  const auto any = [&](auto predicate) {
    return costs && std::any_of(rows.begin(), rows.end(), predicate);
  };
  bool mapping = any([](const Row& row) { return row.load.mapping_ns.has_value(); });
  bool relocations = any([](const Row& row) { return row.load.relocation_ns.has_value(); });
  bool constructors = any([](const Row& row) { return row.load.constructor_ns.has_value(); });
  const bool dirtied = any([](const Row& row) { return row.dirtied.value > 0; });
  const bool read = any([](const Row& row) { return row.read.value > 0; });
  const auto build = [&](int name_width) {
    std::vector<Column> columns = {{"object"},
                                   {"faults", Align::kRight},
                                   {"fault time", Align::kRight},
                                   {"pages touched", Align::kRight}};
    if (dirtied) columns.push_back({"copied", Align::kRight});
    if (read) columns.push_back({"read", Align::kRight});
    if (mapping) columns.push_back({"map", Align::kRight});
    if (relocations) columns.push_back({"relocate", Align::kRight});
    if (constructors) columns.push_back({"init", Align::kRight});
    Table table(std::move(columns), kIndent);
    for (const Row& row : rows) {
      const auto time = [&](bool has, uint64_t value) {
        return has ? FormatDuration(value, glyphs) : glyphs.unmeasured;
      };
      std::vector<Cell> cells = {CutLeft(row.name, name_width, glyphs.ellipsis)};
      cells.emplace_back(FaultPair(true, row.minor, true, row.major, glyphs),
                         row.major > 0 ? TextStyle::kWarning : TextStyle::kPlain);
      cells.emplace_back(time(row.fault_ns.measured, row.fault_ns.value));
      cells.emplace_back(Pages(row, glyphs));
      const auto pages = [&](const Sum& sum) {
        return sum.measured ? absl::StrCat(sum.value) : glyphs.unmeasured;
      };
      if (dirtied) cells.emplace_back(pages(row.dirtied));
      if (read) cells.emplace_back(pages(row.read));
      if (mapping) cells.emplace_back(CostText(row.load.mapping_ns, false, terminal));
      if (relocations) {
        cells.emplace_back(CostText(row.load.relocation_ns, row.indirect_relocation, terminal));
      }
      if (constructors) {
        cells.emplace_back(CostText(row.load.constructor_ns, row.indirect_constructors, terminal));
      }
      table.AddRow(std::move(cells));
    }
    return table;
  };
  // The names take what the figures leave, and need some of it.
  for (bool* costly : {&mapping, &constructors, &relocations}) {
    if (build(0).WidthAfterFirst() + kMinNameWidth > terminal.width) *costly = false;
  }
  const int name_width = std::max(kMinNameWidth, terminal.width - build(0).WidthAfterFirst());
  const std::string legend =
      relocations || constructors ? RenderIndirectLegend(startup.objects(), terminal) : "";
  return build(name_width).Render(terminal) + legend;
}

}  // namespace startscope
