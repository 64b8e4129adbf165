// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/dependency_chain.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"

namespace startscope {
namespace {

constexpr size_t kUsualNeeds = 4;

std::string_view BaseName(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// musl's loader is its C library, and takes these names for itself (ldso/dynlink.c).
bool IsMuslName(std::string_view name) {
  return name.rfind("libc.musl-", 0) == 0 || name == "libc.so";
}

class Chain {
 public:
  Chain(const StartupImages& images, std::optional<uint64_t> dependencies_ns,
        std::vector<MappedObject>* objects)
      : images_(images), dependencies_ns_(dependencies_ns), objects_(*objects) {}

  void Run() {
    NameAll();
    Order();
    Connect();
    for (const size_t index : order_) objects_[index].reason = ReasonOf(index);
    Measure();
  }

 private:
  [[nodiscard]] std::shared_ptr<const ImageFacts> FactsOf(const MappedObject& object) const {
    const bool is_executable = object.kind == ObjectKind::kExecutable;
    const KnownImage* known = is_executable                        ? images_.executable
                              : object.kind == ObjectKind::kLoader ? images_.loader
                                                                   : nullptr;
    if (is_executable && known != nullptr) return known->facts;
    std::shared_ptr<const ImageFacts> facts = images_.SharedFactsOf(object.file);
    return facts == nullptr && known != nullptr ? known->facts : facts;
  }

  void NameAll() {
    facts_.resize(objects_.size());
    by_name_.reserve(2 * objects_.size());
    for (size_t i = 0; i < objects_.size(); ++i) {
      MappedObject& object = objects_[i];
      facts_[i] = FactsOf(object);
      if (object.kind != ObjectKind::kExecutable) by_name_.try_emplace(BaseName(object.path), i);
      if (facts_[i] == nullptr) continue;
      if (object.kind == ObjectKind::kLoader && facts_[i]->libc == Libc::kMusl) musl_ = i;
      object.facts = facts_[i];
      if (!facts_[i]->soname.empty()) by_name_.try_emplace(facts_[i]->soname, i);
    }
  }

  // The executable, its interpreter, and then as they were mapped.
  void Order() {
    const auto rank = [this](size_t index) {
      const ObjectKind kind = objects_[index].kind;
      return kind == ObjectKind::kExecutable ? 0 : kind == ObjectKind::kLoader ? 1 : 2;
    };
    for (size_t i = 0; i < objects_.size(); ++i) {
      if (rank(i) < 2 || objects_[i].kind == ObjectKind::kLibrary) order_.push_back(i);
      if (objects_[i].kind == ObjectKind::kVdso) objects_[i].reason = LoadReason::kKernel;
    }
    std::stable_sort(order_.begin(), order_.end(), [&](size_t a, size_t b) {
      return std::pair(rank(a), objects_[a].map_offset_ns.value_or(0)) <
             std::pair(rank(b), objects_[b].map_offset_ns.value_or(0));
    });
    for (size_t i = 0; i < order_.size(); ++i) {
      objects_[order_[i]].load_order = static_cast<uint32_t>(i + 1);
    }
  }

  [[nodiscard]] std::optional<size_t> Find(std::string_view name) const {
    if (const auto found = by_name_.find(BaseName(name)); found != by_name_.end()) {
      return found->second;
    }
    if (musl_ && IsMuslName(name)) return musl_;
    return std::nullopt;
  }

  void Connect() {
    needs_.resize(objects_.size());
    needed_by_.resize(objects_.size());
    for (const size_t index : order_) {
      if (facts_[index] == nullptr) continue;
      const bool is_executable = objects_[index].kind == ObjectKind::kExecutable;
      for (const std::string& name : facts_[index]->needed) Need(index, name);
      const std::string& interpreter = facts_[index]->interpreter;
      if (is_executable && !interpreter.empty()) Need(index, interpreter);
    }
  }

  void Need(size_t index, std::string_view name) {
    const std::optional<size_t> target = Find(name);
    if (!target) return;
    auto& needers = needed_by_[*target];
    if (std::find(needers.begin(), needers.end(), index) != needers.end()) return;
    needers.push_back(index);
    needs_[index].push_back(*target);
    objects_[*target].needed_by.push_back(objects_[index].path);
  }

  [[nodiscard]] LoadReason ReasonOf(size_t index) const {
    const MappedObject& object = objects_[index];
    if (object.kind == ObjectKind::kExecutable) return LoadReason::kExecutable;
    if (object.kind == ObjectKind::kLoader) return LoadReason::kInterpreter;
    bool all_known = true;  // of those that were there before it
    for (const size_t before : order_) {
      if (before == index) break;
      all_known &= facts_[before] != nullptr;
      const auto& needers = needed_by_[index];
      if (std::find(needers.begin(), needers.end(), before) != needers.end()) {
        return LoadReason::kNeeded;
      }
    }
    // Some file that could not be read may need it.
    if (!all_known) return LoadReason::kUnspecified;
    const bool late = dependencies_ns_ && object.map_offset_ns.value_or(0) > *dependencies_ns_;
    if (late) return LoadReason::kDlopen;
    return dependencies_ns_ ? LoadReason::kPreload : LoadReason::kUnspecified;
  }

  // Breadth first from what was loaded for its own sake, the executable before the others.
  void Measure() {
    std::vector<bool> reached(objects_.size());
    std::deque<size_t> next;
    const auto walk = [&] {
      while (!next.empty()) {
        const size_t index = next.front();
        next.pop_front();
        for (const size_t target : needs_[index]) {
          if (reached[target]) continue;
          reached[target] = true;
          objects_[target].depth = objects_[index].depth + 1;
          next.push_back(target);
        }
      }
    };
    for (const LoadReason root :
         {LoadReason::kExecutable, LoadReason::kPreload, LoadReason::kDlopen}) {
      for (const size_t index : order_) {
        if (objects_[index].reason != root || reached[index]) continue;
        reached[index] = true;
        next.push_back(index);
      }
      walk();
    }
  }

  const StartupImages& images_;
  const std::optional<uint64_t> dependencies_ns_;
  std::vector<MappedObject>& objects_;
  std::vector<std::shared_ptr<const ImageFacts>> facts_;  // parallel to the objects, as are the next two
  std::vector<absl::InlinedVector<size_t, kUsualNeeds>> needs_;
  std::vector<absl::InlinedVector<size_t, kUsualNeeds>> needed_by_;
  absl::flat_hash_map<std::string_view, size_t> by_name_;
  std::optional<size_t> musl_;
  std::vector<size_t> order_;
};

}  // namespace

void ChainDependencies(const StartupImages& images, std::optional<uint64_t> dependencies_ns,
                       std::vector<MappedObject>* objects) {
  Chain(images, dependencies_ns, objects).Run();
}

}  // namespace startscope
