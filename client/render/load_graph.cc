// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/load_graph.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "client/render/object_name.h"

namespace startscope {
namespace {

using startscope::v1::LoadReason;
using startscope::v1::MappedObject;

constexpr uint64_t kManyChains = 1'000'000'000;
constexpr size_t kFar = SIZE_MAX;

void AddPart(std::optional<uint64_t>* to, const std::optional<uint64_t>& part) {
  if (part.has_value()) *to = to->value_or(0) + *part;
}

bool IsLoaded(const MappedObject& object) {
  switch (object.kind()) {
    case startscope::v1::OBJECT_KIND_EXECUTABLE:
    case startscope::v1::OBJECT_KIND_LOADER:
    case startscope::v1::OBJECT_KIND_LIBRARY:
    case startscope::v1::OBJECT_KIND_VDSO:
      return true;
    default:
      return object.load_order() != 0;
  }
}

LoadReason ReasonOf(const MappedObject& object) {
  if (object.load_reason() != startscope::v1::LOAD_REASON_UNSPECIFIED) return object.load_reason();
  switch (object.kind()) {
    case startscope::v1::OBJECT_KIND_EXECUTABLE:
      return startscope::v1::LOAD_REASON_EXECUTABLE;
    case startscope::v1::OBJECT_KIND_LOADER:
      return startscope::v1::LOAD_REASON_INTERPRETER;
    case startscope::v1::OBJECT_KIND_VDSO:
      return startscope::v1::LOAD_REASON_KERNEL;
    default:
      return startscope::v1::LOAD_REASON_UNSPECIFIED;
  }
}

// By the loader's order; what has none after that, as it was mapped.
auto OrderOf(const MappedObject& object) {
  const bool numbered = object.load_order() != 0;
  return std::make_tuple(object.kind() != startscope::v1::OBJECT_KIND_EXECUTABLE, !numbered,
                         object.load_order(), object.map_offset_ns());
}

void SortUnique(std::vector<size_t>* numbers) {
  std::sort(numbers->begin(), numbers->end());
  numbers->erase(std::unique(numbers->begin(), numbers->end()), numbers->end());
}

void Connect(std::vector<LoadNode>* nodes) {
  std::map<std::string, size_t> by_path;
  std::map<std::string, size_t> by_name;
  for (size_t i = 0; i < nodes->size(); ++i) {
    const MappedObject& object = *(*nodes)[i].object;
    if (!object.path().empty()) by_path.emplace(object.path(), i);
    if (!object.soname().empty()) by_name.emplace(object.soname(), i);
  }
  // A soname is what the loader compares; a file name serves where a file has none.
  for (size_t i = 0; i < nodes->size(); ++i) {
    const std::string base = BaseName((*nodes)[i].object->path());
    if (!base.empty()) by_name.emplace(base, i);
  }
  for (size_t i = 0; i < nodes->size(); ++i) {
    LoadNode& node = (*nodes)[i];
    for (const std::string& name : node.object->needed()) {
      const auto& names = name.find('/') == std::string::npos ? by_name : by_path;
      if (const auto found = names.find(name); found == names.end()) {
        node.unmet.push_back(name);
      } else if (found->second != i) {
        node.needs.push_back(found->second);
      }
    }
    for (const std::string& path : node.object->needed_by()) {
      const auto found = by_path.find(path);
      if (found != by_path.end() && found->second != i) {
        (*nodes)[found->second].needs.push_back(i);
      }
    }
  }
  for (size_t i = 0; i < nodes->size(); ++i) {
    SortUnique(&(*nodes)[i].needs);
    for (const size_t needed : (*nodes)[i].needs) (*nodes)[needed].needers.push_back(i);
  }
}

bool IsRoot(const LoadNode& node) { return !node.first_needer.has_value(); }

// Marks what `from` leads to without passing through `closed`.
void Reach(const std::vector<LoadNode>& nodes, size_t from, size_t closed,
           std::vector<bool>* reached) {
  std::vector<size_t> open = {from};
  while (!open.empty()) {
    const size_t at = open.back();
    open.pop_back();
    if (at == closed || (*reached)[at]) continue;
    (*reached)[at] = true;
    open.insert(open.end(), nodes[at].needs.begin(), nodes[at].needs.end());
  }
}

// Steps from the nearest of `sources` to each node.
std::vector<size_t> Distances(const std::vector<LoadNode>& nodes,
                              const std::vector<size_t>& sources) {
  std::vector<size_t> distance(nodes.size(), kFar);
  std::vector<size_t> queue = sources;
  for (const size_t source : sources) distance[source] = 0;
  for (size_t next = 0; next < queue.size(); ++next) {
    for (const size_t needed : nodes[queue[next]].needs) {
      if (distance[needed] != kFar) continue;
      distance[needed] = distance[queue[next]] + 1;
      queue.push_back(needed);
    }
  }
  return distance;
}

}  // namespace

LoadCost LoadCost::Of(const MappedObject& object) {
  LoadCost cost;
  if (object.has_mapping_ns()) cost.mapping_ns = object.mapping_ns();
  if (object.has_relocation_ns()) cost.relocation_ns = object.relocation_ns();
  if (object.has_constructor_ns()) cost.constructor_ns = object.constructor_ns();
  cost.minor_faults = object.minor_faults();
  cost.major_faults = object.major_faults();
  return cost;
}

void LoadCost::Add(const LoadCost& other) {
  AddPart(&mapping_ns, other.mapping_ns);
  AddPart(&relocation_ns, other.relocation_ns);
  AddPart(&constructor_ns, other.constructor_ns);
  minor_faults += other.minor_faults;
  major_faults += other.major_faults;
}

std::optional<uint64_t> LoadCost::total_ns() const {
  std::optional<uint64_t> total;
  AddPart(&total, mapping_ns);
  AddPart(&total, relocation_ns);
  AddPart(&total, constructor_ns);
  return total;
}

LoadGraph LoadGraph::Of(const google::protobuf::RepeatedPtrField<MappedObject>& objects,
                        bool utf8) {
  LoadGraph graph;
  for (const MappedObject& object : objects) {
    if (!IsLoaded(object)) continue;
    LoadNode node;
    node.object = &object;
    node.reason = ReasonOf(object);
    node.own = LoadCost::Of(object);
    graph.nodes.push_back(std::move(node));
  }
  std::stable_sort(
      graph.nodes.begin(), graph.nodes.end(),
      [](const LoadNode& a, const LoadNode& b) { return OrderOf(*a.object) < OrderOf(*b.object); });
  std::map<std::string, int> names;
  for (LoadNode& node : graph.nodes) {
    node.label = ShortObjectName(*node.object, utf8);
    ++names[node.label];
  }
  for (LoadNode& node : graph.nodes) {
    if (names[node.label] > 1) node.label = ObjectName(*node.object, utf8);
  }
  Connect(&graph.nodes);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    LoadNode& node = graph.nodes[i];
    const bool by_need = node.reason == startscope::v1::LOAD_REASON_NEEDED ||
                         node.reason == startscope::v1::LOAD_REASON_UNSPECIFIED;
    // Needers are in load order, so the first is the one that the loader met first.
    if (by_need && !node.needers.empty() && node.needers.front() < i) {
      node.first_needer = node.needers.front();
      graph.nodes[*node.first_needer].children.push_back(i);
    }
    node.subtree = node.own;
  }
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    const LoadNode& node = graph.nodes[i];
    if (node.first_needer.has_value()) graph.nodes[*node.first_needer].subtree.Add(node.subtree);
  }
  return graph;
}

bool LoadGraph::has_edges() const {
  return std::any_of(nodes.begin(), nodes.end(), [](const LoadNode& node) {
    return !node.needs.empty() || !node.unmet.empty();
  });
}

std::vector<size_t> LoadGraph::OnlyThrough(size_t node) const {
  std::vector<bool> without(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (IsRoot(nodes[i])) Reach(nodes, i, node, &without);
  }
  std::vector<bool> below(nodes.size());
  Reach(nodes, node, kFar, &below);
  std::vector<size_t> only = {node};
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (i != node && below[i] && !without[i]) only.push_back(i);
  }
  return only;
}

std::vector<std::vector<size_t>> LoadGraph::ShortestChains(size_t node, size_t limit,
                                                           uint64_t* count) const {
  std::vector<size_t> distance = Distances(nodes, {0});
  if (distance[node] == kFar) {
    std::vector<size_t> roots;
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (IsRoot(nodes[i])) roots.push_back(i);
    }
    distance = Distances(nodes, roots);
  }
  *count = 0;
  if (distance[node] == kFar) return {};
  // How many shortest ways lead to each node, nearest first.
  std::vector<size_t> by_distance;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (distance[i] <= distance[node]) by_distance.push_back(i);
  }
  std::stable_sort(by_distance.begin(), by_distance.end(),
                   [&](size_t a, size_t b) { return distance[a] < distance[b]; });
  std::vector<uint64_t> ways(nodes.size());
  const auto leads = [&](size_t needer, size_t to) {
    return distance[needer] != kFar && distance[needer] + 1 == distance[to];
  };
  for (const size_t at : by_distance) {
    if (distance[at] == 0) ways[at] = 1;
    for (const size_t needer : nodes[at].needers) {
      if (leads(needer, at)) ways[at] = std::min(kManyChains, ways[at] + ways[needer]);
    }
  }
  *count = ways[node];

  // Backwards from the node; every step gets nearer to a source, so every walk ends in one.
  std::vector<std::vector<size_t>> chains;
  std::vector<std::vector<size_t>> open = {{node}};
  while (!open.empty() && chains.size() < limit) {
    std::vector<size_t> chain = std::move(open.back());
    open.pop_back();
    const size_t at = chain.back();
    if (distance[at] == 0) {
      std::reverse(chain.begin(), chain.end());
      chains.push_back(std::move(chain));
      continue;
    }
    for (auto needer = nodes[at].needers.rbegin(); needer != nodes[at].needers.rend(); ++needer) {
      if (!leads(*needer, at)) continue;
      open.push_back(chain);
      open.back().push_back(*needer);
    }
  }
  return chains;
}

}  // namespace startscope
