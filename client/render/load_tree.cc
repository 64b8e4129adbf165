// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/load_tree.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/render/display_width.h"
#include "client/render/load_cost_text.h"
#include "client/render/load_graph.h"
#include "client/render/names.h"
#include "client/render/table.h"
#include "client/render/text_sanitizer.h"
#include "client/render/text_startup.h"
#include "client/render/text_timeline.h"
#include "client/render/units.h"

namespace startscope {
namespace {

using startscope::v1::LoaderEvent;
using startscope::v1::Startup;

constexpr int kIndent = 2;
constexpr int kMinWidthForParts = 100;
constexpr int kMinTreeWidth = 16;
// Fewer are shown one by one.
constexpr size_t kMinFolded = 4;

// One line of the tree; figures are absent on lines that only name others.
struct Line {
  std::string prefix;
  std::string text;
  const LoadNode* node = nullptr;
  // Of the nodes that share the line, or a single node's own.
  LoadCost own{};
  bool indirect_relocation = false;
  bool indirect_constructors = false;
};

std::string NodeText(const LoadNode& node, const TerminalStyle& terminal) {
  std::string text = node.label;
  if (const std::string note = LoadReasonNote(node.reason); !note.empty()) {
    absl::StrAppend(&text, " (", note, ")");
  }
  const auto& object = *node.object;
  if (!object.search_misses().empty()) {
    uint64_t misses = 0;
    for (const auto& miss : object.search_misses()) misses += miss.count();
    absl::StrAppend(&text, " (after ", FormatCount(misses, "other place"), ")");
  }
  return text;
}

class TreeLines {
 public:
  TreeLines(const LoadGraph& graph, uint64_t total_ns, bool late, const TerminalStyle& terminal)
      : graph_(graph), total_ns_(total_ns), late_(late), terminal_(terminal) {}

  std::vector<Line> Take() {
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (!graph_.nodes[i].first_needer.has_value()) AddTree(i);
    }
    return std::move(lines_);
  }

 private:
  // What comes below a node: other nodes, or leaves that share a line, or names only.
  struct Item {
    size_t node = 0;
    std::vector<size_t> folded{};
    std::string names{};
  };
  struct Open {
    std::string prefix;
    std::vector<Item> items;
    size_t next = 0;
  };

  // By hand and not by recursion: how deep it goes is up to the traced process.
  void AddTree(size_t root) {
    std::vector<Open> open;
    open.push_back({"", AddNode("", root)});
    while (!open.empty()) {
      Open& top = open.back();
      if (top.next == top.items.size()) {
        open.pop_back();
        continue;
      }
      const Item& item = top.items[top.next++];
      const bool last = top.next == top.items.size();
      const Glyphs& glyphs = terminal_.glyphs;
      const std::string prefix = top.prefix + (last ? glyphs.last_branch : glyphs.branch);
      if (!item.names.empty()) {
        lines_.push_back({prefix, item.names});
      } else if (!item.folded.empty()) {
        AddFolded(prefix, item.folded);
      } else {
        const std::string below = top.prefix + (last ? "   " : glyphs.trunk);
        std::vector<Item> items = AddNode(prefix, item.node);
        if (!items.empty()) open.push_back({below, std::move(items)});
      }
    }
  }

  // What is still to be shown below it: names alone fit on its own line.
  std::vector<Item> AddNode(const std::string& prefix, size_t index) {
    const LoadNode& node = graph_.nodes[index];
    Line line{prefix, NodeText(node, terminal_), &node, node.own};
    line.indirect_relocation = IsIndirect(node.object->relocation_source());
    line.indirect_constructors = IsIndirect(node.object->constructor_source());
    std::vector<Item> items = ItemsBelow(index);
    if (items.size() == 1 && !items[0].names.empty()) {
      absl::StrAppend(&line.text, " ", items[0].names);
      items.clear();
    }
    lines_.push_back(std::move(line));
    return items;
  }

  void AddFolded(const std::string& prefix, const std::vector<size_t>& nodes) {
    Line line{prefix, absl::StrCat(nodes.size(), " others below 0.1 % each:")};
    for (const size_t index : nodes) {
      const LoadNode& node = graph_.nodes[index];
      absl::StrAppend(&line.text, " ", node.label);
      line.own.Add(node.own);
      line.indirect_relocation |= IsIndirect(node.object->relocation_source());
      line.indirect_constructors |= IsIndirect(node.object->constructor_source());
    }
    lines_.push_back(std::move(line));
  }

  [[nodiscard]] bool IsNegligible(size_t index) const {
    const LoadNode& node = graph_.nodes[index];
    const std::optional<uint64_t> cost = node.own.total_ns();
    return node.children.empty() && cost.has_value() && *cost < total_ns_ / 1000 &&
           node.own.major_faults == 0;
  }

  [[nodiscard]] std::vector<Item> ItemsBelow(size_t index) const {
    const LoadNode& node = graph_.nodes[index];
    std::vector<Item> items;
    std::vector<size_t> small;
    for (const size_t child : node.children) {
      if (IsNegligible(child)) {
        small.push_back(child);
      } else {
        items.push_back({child});
      }
    }
    if (small.size() >= kMinFolded) {
      items.push_back({0, small});
    } else {
      for (const size_t child : small) items.push_back({child});
      std::sort(items.begin(), items.end(),
                [](const Item& a, const Item& b) { return a.node < b.node; });
    }
    std::string elsewhere;
    for (const size_t needed : node.needs) {
      if (graph_.nodes[needed].first_needer == index) continue;
      absl::StrAppend(&elsewhere, elsewhere.empty() ? "" : ", ", graph_.nodes[needed].label);
    }
    std::string unmet;
    for (const std::string& name : node.unmet) {
      // What a late object needs and did not bring was there before.
      std::string& list = late_ ? elsewhere : unmet;
      absl::StrAppend(&list, list.empty() ? "" : ", ", SanitizeText(name, terminal_.utf8));
    }
    if (!elsewhere.empty()) {
      items.push_back({0, {}, absl::StrCat(terminal_.glyphs.reference, " ", elsewhere)});
    }
    if (!unmet.empty()) items.push_back({0, {}, "not seen: " + unmet});
    return items;
  }

  const LoadGraph& graph_;
  const uint64_t total_ns_;
  const bool late_;
  const TerminalStyle& terminal_;
  std::vector<Line> lines_;
};

// The figures first: so the tree may be as wide as it needs.
std::string RenderLines(const std::vector<Line>& lines, const char* title,
                        const TerminalStyle& terminal) {
  const bool parts = terminal.width >= kMinWidthForParts;
  std::vector<Column> columns = {{"own", Align::kRight}, {"with below", Align::kRight}};
  if (parts) {
    for (const char* part : {"map", "relocate", "init"}) columns.push_back({part, Align::kRight});
  }
  columns.push_back({"faults", Align::kRight});
  columns.push_back({title});
  const Glyphs& glyphs = terminal.glyphs;
  const auto build = [&](int tree_width) {
    Table table(columns, kIndent);
    for (const Line& line : lines) {
      std::vector<Cell> cells;
      const bool names_only = line.node == nullptr && !line.own.total_ns().has_value();
      if (names_only) {
        cells.resize(columns.size() - 1, Cell(""));
      } else {
        const bool relocation = line.indirect_relocation && line.own.relocation_ns.has_value();
        const bool constructors = line.indirect_constructors && line.own.constructor_ns.has_value();
        cells.emplace_back(CostText(line.own.total_ns(), relocation || constructors, terminal));
        const bool has_below = line.node != nullptr && !line.node->children.empty();
        cells.emplace_back(has_below ? CostText(line.node->subtree.total_ns(), false, terminal)
                                     : "");
        if (parts) {
          cells.emplace_back(CostText(line.own.mapping_ns, false, terminal));
          cells.emplace_back(CostText(line.own.relocation_ns, relocation, terminal));
          cells.emplace_back(CostText(line.own.constructor_ns, constructors, terminal));
        }
        cells.emplace_back(
            FaultPair(true, line.own.minor_faults, true, line.own.major_faults, glyphs),
            line.own.major_faults > 0 ? TextStyle::kWarning : TextStyle::kPlain);
      }
      // A deep place keeps the end of its lines: what stands right before the name.
      const std::string prefix = CutLeft(line.prefix, tree_width / 2, glyphs.ellipsis);
      cells.emplace_back(prefix +
                         CutRight(line.text, tree_width - DisplayWidth(prefix), glyphs.ellipsis));
      table.AddRow(std::move(cells));
    }
    return table;
  };
  const int room = terminal.width - build(0).WidthBeforeLast();
  return build(std::max(kMinTreeWidth, room)).Render(terminal);
}

}  // namespace

std::string RenderLoadTree(const Startup& startup, const std::vector<LoaderEvent>& late,
                           const TerminalStyle& terminal) {
  const LoadGraph graph = LoadGraph::Of(startup.objects(), terminal.utf8);
  std::string text;
  if (graph.nodes.empty()) {
    text = RenderItems("loaded", {"no objects are known: measure at level objects or above"},
                       terminal);
  } else {
    text = RenderLines(TreeLines(graph, startup.total_ns(), false, terminal).Take(), "loaded",
                       terminal);
    if (!graph.has_edges() && graph.nodes.size() > 2) {
      text += RenderItems("needs", {"who needs whom is not known of this startup"}, terminal);
    }
    text += RenderIndirectLegend(startup.objects(), terminal);
  }
  for (const LoaderEvent& event : late) {
    if (event.startup_id() != startup.startup_id()) continue;
    text += RenderLoaderCall(event, terminal);
    const LoadGraph loaded = LoadGraph::Of(event.objects(), terminal.utf8);
    if (loaded.nodes.empty()) continue;
    text += RenderLines(TreeLines(loaded, startup.total_ns(), true, terminal).Take(), "loaded late",
                        terminal) +
            RenderIndirectLegend(event.objects(), terminal);
  }
  return text;
}

}  // namespace startscope
