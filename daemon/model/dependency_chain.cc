// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/dependency_chain.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>

#include "absl/container/fixed_array.h"
#include "absl/container/inlined_vector.h"

namespace startscope {
namespace {

constexpr size_t kUsualNeeds = 4;
constexpr size_t kUsualObjects = 16;

std::string_view BaseName(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// musl's loader is its C library, and takes these names for itself (ldso/dynlink.c).
bool IsMuslName(std::string_view name) {
  return name.rfind("libc.musl-", 0) == 0 || name == "libc.so";
}

class Chain {
 public:
  Chain(const StartupImages& images, std::optional<uint64_t> dependencies_ns,
        std::vector<MappedObject>* objects)
      : images_(images),
        dependencies_ns_(dependencies_ns),
        objects_(*objects),
        links_(objects->size()) {}

  void Run() {
    NameAll();
    Order();
    Connect();
    for (const uint32_t index : order_) objects_[index].reason = ReasonOf(index);
    Measure();
  }

 private:
  using Facts = std::shared_ptr<const ImageFacts>;
  // What is found out about an object.
  struct Link {
    const Facts* facts = nullptr;  // nullptr: the file was not read
    absl::InlinedVector<uint32_t, kUsualNeeds> needs;
    absl::InlinedVector<uint32_t, kUsualNeeds> needed_by;
    bool reached = false;
  };
  struct Name {
    std::string_view name;
    uint32_t index = 0;
  };

  [[nodiscard]] const Facts* FactsOf(const MappedObject& object) const {
    const bool is_executable = object.kind == ObjectKind::kExecutable;
    const KnownImage* known = is_executable                        ? images_.executable
                              : object.kind == ObjectKind::kLoader ? images_.loader
                                                                   : nullptr;
    if (is_executable && known != nullptr) return &known->facts;
    const Facts* facts = images_.SharedFactsOf(object.file);
    return facts == nullptr && known != nullptr ? &known->facts : facts;
  }

  void NameAll() {
    for (uint32_t i = 0; i < objects_.size(); ++i) {
      MappedObject& object = objects_[i];
      links_[i].facts = FactsOf(object);
      if (object.kind != ObjectKind::kExecutable) names_.push_back({BaseName(object.path), i});
      if (links_[i].facts == nullptr) continue;
      object.facts = *links_[i].facts;
      if (object.kind == ObjectKind::kLoader && object.facts->libc == Libc::kMusl) musl_ = i;
      if (!object.facts->soname.empty()) names_.push_back({object.facts->soname, i});
    }
    // Whose name it was first has it.
    std::sort(names_.begin(), names_.end(), [](const Name& a, const Name& b) {
      const int order = a.name.compare(b.name);
      return order != 0 ? order < 0 : a.index < b.index;
    });
  }

  // The executable, its interpreter, and then as they were mapped.
  void Order() {
    const auto rank = [this](uint32_t index) {
      const ObjectKind kind = objects_[index].kind;
      return kind == ObjectKind::kExecutable ? 0 : kind == ObjectKind::kLoader ? 1 : 2;
    };
    for (uint32_t i = 0; i < objects_.size(); ++i) {
      if (rank(i) < 2 || objects_[i].kind == ObjectKind::kLibrary) order_.push_back(i);
      if (objects_[i].kind == ObjectKind::kVdso) objects_[i].reason = LoadReason::kKernel;
    }
    std::sort(order_.begin(), order_.end(), [&](uint32_t a, uint32_t b) {
      return std::tuple(rank(a), objects_[a].map_offset_ns.value_or(0), a) <
             std::tuple(rank(b), objects_[b].map_offset_ns.value_or(0), b);
    });
    for (uint32_t i = 0; i < order_.size(); ++i) objects_[order_[i]].load_order = i + 1;
  }

  [[nodiscard]] std::optional<uint32_t> Find(std::string_view full_name) const {
    const std::string_view name = BaseName(full_name);
    const auto found =
        std::lower_bound(names_.begin(), names_.end(), name,
                         [](const Name& one, std::string_view value) { return one.name < value; });
    if (found != names_.end() && found->name == name) return found->index;
    if (musl_ && IsMuslName(full_name)) return musl_;
    return std::nullopt;
  }

  void Connect() {
    for (const uint32_t index : order_) {
      if (links_[index].facts == nullptr) continue;
      const ImageFacts& facts = **links_[index].facts;
      for (const std::string& name : facts.needed) Need(index, name);
      const bool is_executable = objects_[index].kind == ObjectKind::kExecutable;
      if (is_executable && !facts.interpreter.empty()) Need(index, facts.interpreter);
    }
  }

  void Need(uint32_t index, std::string_view name) {
    const std::optional<uint32_t> target = Find(name);
    if (!target) return;
    auto& needers = links_[*target].needed_by;
    if (std::find(needers.begin(), needers.end(), index) != needers.end()) return;
    needers.push_back(index);
    links_[index].needs.push_back(*target);
    objects_[*target].needed_by.push_back(objects_[index].path);
  }

  [[nodiscard]] LoadReason ReasonOf(uint32_t index) const {
    const MappedObject& object = objects_[index];
    if (object.kind == ObjectKind::kExecutable) return LoadReason::kExecutable;
    if (object.kind == ObjectKind::kLoader) return LoadReason::kInterpreter;
    bool all_known = true;  // of those that were there before it
    for (const uint32_t before : order_) {
      if (before == index) break;
      all_known &= links_[before].facts != nullptr;
      const auto& needers = links_[index].needed_by;
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
    absl::InlinedVector<uint32_t, kUsualObjects> queue;
    size_t next = 0;
    for (const LoadReason root :
         {LoadReason::kExecutable, LoadReason::kPreload, LoadReason::kDlopen}) {
      for (const uint32_t index : order_) {
        if (objects_[index].reason != root || links_[index].reached) continue;
        links_[index].reached = true;
        queue.push_back(index);
      }
      for (; next < queue.size(); ++next) {
        const uint32_t index = queue[next];
        for (const uint32_t target : links_[index].needs) {
          if (links_[target].reached) continue;
          links_[target].reached = true;
          objects_[target].depth = objects_[index].depth + 1;
          queue.push_back(target);
        }
      }
    }
  }

  const StartupImages& images_;
  const std::optional<uint64_t> dependencies_ns_;
  std::vector<MappedObject>& objects_;
  absl::FixedArray<Link, kUsualObjects> links_;  // parallel to the objects
  absl::InlinedVector<Name, 2 * kUsualObjects> names_;
  std::optional<uint32_t> musl_;
  absl::InlinedVector<uint32_t, kUsualObjects> order_;
};

}  // namespace

void ChainDependencies(const StartupImages& images, std::optional<uint64_t> dependencies_ns,
                       std::vector<MappedObject>* objects) {
  Chain(images, dependencies_ns, objects).Run();
}

}  // namespace startscope
