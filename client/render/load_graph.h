// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_LOAD_GRAPH_H_
#define STARTSCOPE_CLIENT_RENDER_LOAD_GRAPH_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "startscope/v1/startup.pb.h"

namespace startscope {

// What loading one object, or several, took. Parts that exist are summed: an object without
// constructors has no time in them. Absent: not measured for any.
struct LoadCost {
  std::optional<uint64_t> mapping_ns;
  std::optional<uint64_t> relocation_ns;
  std::optional<uint64_t> constructor_ns;
  uint64_t minor_faults = 0;
  uint64_t major_faults = 0;

  [[nodiscard]] static LoadCost Of(const startscope::v1::MappedObject& object);
  void Add(const LoadCost& other);
  [[nodiscard]] std::optional<uint64_t> total_ns() const;
};

// One object of the loader's. Numbers are positions in LoadGraph::nodes.
struct LoadNode {
  const startscope::v1::MappedObject* object = nullptr;
  startscope::v1::LoadReason reason = startscope::v1::LOAD_REASON_UNSPECIFIED;
  // Sanitised: its file name, or its whole path where another object has the same file name.
  std::string label;
  // In load order, none twice, never itself.
  std::vector<size_t> needs;
  std::vector<size_t> needers;
  // What it needs and no node is called; as the file has it.
  std::vector<std::string> unmet;
  // The object that made the loader load it; absent for what was loaded for another reason.
  std::optional<size_t> first_needer;
  // Whose first needer this is, in load order.
  std::vector<size_t> children;
  LoadCost own;
  // Its own and that of all below it in the tree of first needers.
  LoadCost subtree;
};

// What needs what. A tree by first needers is part of it: every node's first needer was loaded
// before it, so whatever a process claims of its libraries, there is no cycle in that. Refers to
// the objects it was made from.
struct LoadGraph {
  // In load order: the executable first.
  std::vector<LoadNode> nodes;

  // Leaves out what no loader loads: stack, heap, data files.
  [[nodiscard]] static LoadGraph Of(
      const google::protobuf::RepeatedPtrField<startscope::v1::MappedObject>& objects, bool utf8);

  // Whether anything is known of who needs whom.
  [[nodiscard]] bool has_edges() const;
  // What would not be loaded if nothing asked for `node`: itself first, then what only it needs.
  [[nodiscard]] std::vector<size_t> OnlyThrough(size_t node) const;
  // The shortest ways from an object that was loaded for its own sake, from the executable if one
  // leads there, to `node`, both ends included. At most `limit`; how many there are goes to
  // `count`.
  [[nodiscard]] std::vector<std::vector<size_t>> ShortestChains(size_t node, size_t limit,
                                                                uint64_t* count) const;
};

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_LOAD_GRAPH_H_
