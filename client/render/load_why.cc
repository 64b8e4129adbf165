// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/load_why.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/render/load_cost_text.h"
#include "client/render/load_graph.h"
#include "client/render/names.h"
#include "client/render/object_name.h"
#include "client/render/text_sanitizer.h"
#include "client/render/text_startup.h"
#include "client/render/units.h"

namespace startscope {
namespace {

using startscope::v1::Startup;

constexpr size_t kMaxChains = 8;
constexpr size_t kMaxNames = 12;
constexpr size_t kMaxNear = 5;
constexpr size_t kMaxComparedBytes = 256;

// Insertions, deletions and replacements that make one text of the other.
size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

// What stands for a library in "libssl.so.3": "ssl".
std::string Stem(const std::string& name) {
  std::string stem = absl::AsciiStrToLower(BaseName(name)).substr(0, kMaxComparedBytes);
  stem = stem.substr(0, stem.find(".so"));
  return absl::StartsWith(stem, "lib") ? stem.substr(3) : stem;
}

// Labels of what is called nearly so, the nearest first.
std::vector<std::string> NearMatches(const LoadGraph& graph, const std::string& name) {
  std::vector<std::pair<size_t, std::string>> near;
  const std::string wanted = Stem(name);
  for (const LoadNode& node : graph.nodes) {
    const std::string stem =
        Stem(node.object->path().empty() ? node.object->soname() : node.object->path());
    if (stem.empty() || wanted.empty()) continue;
    const size_t distance = EditDistance(wanted, stem);
    const bool contains = absl::StrContains(stem, wanted) || absl::StrContains(wanted, stem);
    if (contains || distance <= std::max<size_t>(1, wanted.size() / 3)) {
      near.emplace_back(distance, node.label);
    }
  }
  std::stable_sort(near.begin(), near.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> labels;
  for (auto& [distance, label] : near) {
    if (labels.size() < kMaxNear) labels.push_back(std::move(label));
  }
  return labels;
}

absl::StatusOr<size_t> FindNode(const LoadGraph& graph, const std::string& name) {
  std::vector<size_t> found;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const auto& object = *graph.nodes[i].object;
    if (object.path() == name) return i;
    if (object.soname() == name || BaseName(object.path()) == name ||
        graph.nodes[i].label == name) {
      found.push_back(i);
    }
  }
  if (found.size() == 1) return found.front();
  std::vector<std::string> names;
  for (const size_t i : found) names.push_back(graph.nodes[i].label);
  if (found.size() > 1) {
    return absl::NotFoundError(absl::StrCat(
        "'", SanitizeText(name, true),
        "' is the name of several objects: give the path of one: ", absl::StrJoin(names, ", ")));
  }
  names = NearMatches(graph, name);
  return absl::NotFoundError(
      absl::StrCat("no object '", SanitizeText(name, true), "' was loaded in this start (of ",
                   FormatCount(graph.nodes.size(), "object"), ")",
                   names.empty() ? "; --tree lists them"
                                 : "; did you mean " + absl::StrJoin(names, ", ") + "?"));
}

// At most kMaxNames labels, then how many more.
std::vector<std::string> Labels(const LoadGraph& graph, const std::vector<size_t>& nodes) {
  std::vector<std::string> labels;
  for (const size_t node : nodes) {
    if (labels.size() == kMaxNames) {
      labels.push_back(absl::StrCat(nodes.size() - kMaxNames, " more"));
      break;
    }
    labels.push_back(graph.nodes[node].label);
  }
  return labels;
}

std::string Chains(const LoadGraph& graph, size_t node, const TerminalStyle& terminal) {
  uint64_t count = 0;
  const auto chains = graph.ShortestChains(node, kMaxChains, &count);
  std::string text;
  for (const std::vector<size_t>& chain : chains) {
    if (chain.size() < 2) continue;
    std::vector<std::string> items;
    for (const size_t at : chain) items.push_back(graph.nodes[at].label);
    text += RenderChain("needed through", items, terminal);
  }
  if (count > chains.size()) {
    text += RenderItems("and", {absl::StrCat(count - chains.size(), " more chains as short")},
                        terminal);
  }
  return text;
}

std::string Found(const LoadGraph& graph, size_t node, const TerminalStyle& terminal) {
  const auto& object = *graph.nodes[node].object;
  std::vector<std::string> items = {ObjectName(object, terminal.utf8)};
  for (const size_t needer : graph.nodes[node].needers) {
    const auto& link = graph.nodes[needer].object->link();
    for (const auto& [kind, path] :
         {std::pair("RPATH", link.rpath()), std::pair("RUNPATH", link.runpath())}) {
      if (path.empty()) continue;
      items.push_back(absl::StrCat(kind, " of ", graph.nodes[needer].label, " ",
                                   SanitizeText(path, terminal.utf8)));
    }
    if (items.size() > kMaxNames) break;
  }
  std::string text = RenderItems("found", items, terminal);
  if (object.search_misses().empty()) {
    if (!object.has_search_ns()) return text;
    return text + RenderItems("looked for in vain", {"nowhere"}, terminal);
  }
  items.clear();
  if (object.has_search_ns()) {
    items.push_back("for " + FormatDuration(object.search_ns(), terminal.glyphs));
  }
  for (const auto& miss : object.search_misses()) {
    if (items.size() == kMaxNames) {
      items.push_back(terminal.glyphs.ellipsis);
      break;
    }
    std::string item = SanitizeText(miss.directory(), terminal.utf8);
    if (miss.count() > 1) absl::StrAppend(&item, " (", miss.count(), " times)");
    items.push_back(std::move(item));
  }
  return text + RenderItems("looked for in vain", items, terminal);
}

std::string Savings(const LoadGraph& graph, size_t node, const Startup& startup,
                    const TerminalStyle& terminal) {
  const LoadNode& wanted = graph.nodes[node];
  if (wanted.reason == startscope::v1::LOAD_REASON_EXECUTABLE ||
      wanted.reason == startscope::v1::LOAD_REASON_INTERPRETER ||
      wanted.reason == startscope::v1::LOAD_REASON_KERNEL) {
    return "";
  }
  std::vector<size_t> only = graph.OnlyThrough(node);
  LoadCost saved;
  for (const size_t i : only) saved.Add(graph.nodes[i].own);
  std::vector<std::string> items = CostItems(saved, terminal);
  items.insert(items.begin(), FormatCount(only.size(), "object") + " fewer");
  if (saved.total_ns().has_value()) {
    items.push_back(FormatShare(*saved.total_ns(), startup.total_ns()) + " of the start");
  }
  items.push_back(FaultPair(true, saved.minor_faults, true, saved.major_faults, terminal.glyphs) +
                  " faults");
  std::string text;
  only.erase(only.begin());
  text += RenderItems("needed by it alone",
                      only.empty() ? std::vector<std::string>{"nothing"} : Labels(graph, only),
                      terminal);
  text += RenderItems("without it", items, terminal);
  if (wanted.needers.size() > 1) {
    text += RenderItems(
        "to be rid of it",
        {absl::StrCat(wanted.needers.size(), " objects would have to stop needing it")}, terminal);
  }
  return text;
}

}  // namespace

absl::StatusOr<std::string> RenderWhy(const Startup& startup, const std::string& name,
                                      const TerminalStyle& terminal) {
  const LoadGraph graph = LoadGraph::Of(startup.objects(), terminal.utf8);
  if (graph.nodes.empty()) {
    return absl::FailedPreconditionError(
        "this startup has no objects: it was measured below level objects");
  }
  const absl::StatusOr<size_t> found = FindNode(graph, name);
  if (!found.ok()) return found.status();
  const LoadNode& node = graph.nodes[*found];
  const auto& object = *node.object;
  std::vector<std::string> why;
  switch (node.reason) {
    case startscope::v1::LOAD_REASON_EXECUTABLE:
      why.push_back("it is the program");
      break;
    case startscope::v1::LOAD_REASON_INTERPRETER:
      why.push_back("the executable names it as its interpreter");
      break;
    case startscope::v1::LOAD_REASON_PRELOAD:
      why.push_back("preloaded: LD_PRELOAD, LD_AUDIT or /etc/ld.so.preload");
      break;
    case startscope::v1::LOAD_REASON_DLOPEN:
      why.push_back("asked for by dlopen");
      break;
    case startscope::v1::LOAD_REASON_KERNEL:
      why.push_back("the kernel maps it into every process");
      break;
    default:
      why.push_back(node.needers.empty() ? "not known" : "needed");
      break;
  }
  if (object.load_order() != 0) {
    why.push_back(absl::StrCat("number ", object.load_order(), " in load order"));
  }
  if (object.depth() != 0)
    why.push_back(FormatCount(object.depth(), "step") + " from the executable");
  std::string text = absl::StrCat(Styled(node.label, TextStyle::kBold, terminal), "\n");
  text += RenderItems("loaded because", why, terminal);
  text += Chains(graph, *found, terminal);
  if (!node.needers.empty())
    text += RenderItems("needed by", Labels(graph, node.needers), terminal);
  text += Found(graph, *found, terminal);
  std::vector<std::string> cost = CostItems(node.own, terminal);
  cost.push_back(
      FaultPair(true, object.minor_faults(), true, object.major_faults(), terminal.glyphs) +
      " faults");
  text += RenderItems("cost", cost, terminal);
  text += Savings(graph, *found, startup, terminal);
  google::protobuf::RepeatedPtrField<startscope::v1::MappedObject> shown;
  *shown.Add() = object;
  return text + RenderIndirectLegend(shown, terminal);
}

}  // namespace startscope
