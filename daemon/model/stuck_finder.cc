// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/stuck_finder.h"

#include <sys/mman.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/model/address_map.h"
#include "daemon/model/boundary_finder.h"
#include "daemon/model/phase_cutter.h"
#include "daemon/model/phase_policy.h"

namespace startscope {
namespace {

// The objects that a loader has mapped so far, and which of them it is at.
class LoaderProgress {
 public:
  LoaderProgress(const Evidence& evidence, const StartupImages& images,
                 const BoundaryFinder& finder, const BuildOptions& options)
      : evidence_(evidence),
        images_(images),
        map_(evidence.exec, {.executable = finder.executable_file(),
                             .loader = finder.loader_file(),
                             .max_objects = options.max_objects}) {
    for (const auto& mapping : evidence.mappings) {
      const MappingEvent& value = mapping.value;
      const AddressMap::Applied applied =
          map_.Apply(mapping.boottime_ns, value, MappingOperation::kUnspecified);
      const uint32_t object = map_.Find(value.address).object;
      if (object == kNoIndex || value.file.inode == 0) continue;
      const ObjectKind kind = map_.object(object).kind;
      if (kind == ObjectKind::kExecutable) executable_ = object;
      if (kind != ObjectKind::kLibrary) continue;
      if (applied.is_protection) {
        // RELRO: its relocation is over.
        relocated_.insert(object);
        last_relocated_ns_ = mapping.boottime_ns;
      } else if (std::find(libraries_.begin(), libraries_.end(), object) == libraries_.end()) {
        libraries_.push_back(object);
      }
    }
  }

  [[nodiscard]] uint32_t executable() const { return executable_; }
  [[nodiscard]] uint32_t LastMapped() const {
    return libraries_.empty() ? kNoIndex : libraries_.back();
  }

  // The object that is relocated: the last one that the loader wrote into since it was done with
  // another; otherwise the one whose turn is next.
  [[nodiscard]] uint32_t Relocating(uint64_t since_ns, Libc libc) const {
    uint32_t written = kNoIndex;
    for (const auto& fault : evidence_.faults) {
      if (fault.boottime_ns < std::max(since_ns, last_relocated_ns_)) continue;
      if (!fault.value.access_known || !fault.value.write || fault.value.kernel_mode) continue;
      const uint32_t object = map_.Find(fault.value.address).object;
      if (object != kNoIndex && IsLoaded(map_.object(object).kind)) written = object;
    }
    if (written != kNoIndex) return written;
    // glibc goes from the last mapped library to the first and takes the executable last
    // (elf/rtld.c, dl_main); musl goes forward, and takes it last too (ldso/dynlink.c, __dls3).
    std::vector<uint32_t> order(libraries_);
    if (libc != Libc::kMusl) std::reverse(order.begin(), order.end());
    order.push_back(executable_);
    size_t next = 0;
    for (size_t i = 0; i < order.size(); ++i) {
      if (relocated_.contains(order[i])) next = i + 1;
    }
    return next < order.size() ? order[next] : kNoIndex;
  }

  // The library that ran its first instructions last: its constructors are what was begun last.
  // Those known to have none are called by others.
  [[nodiscard]] uint32_t Constructing(uint64_t since_ns) const {
    std::set<uint32_t> seen;
    uint32_t last = kNoIndex;
    for (const auto& fault : evidence_.faults) {
      if (fault.boottime_ns < since_ns || !fault.value.instruction_fetch) continue;
      if (fault.value.kernel_mode) continue;
      const uint32_t object = map_.Find(fault.value.address).object;
      if (object == kNoIndex || map_.object(object).kind != ObjectKind::kLibrary) continue;
      if (!seen.insert(object).second || HasNoConstructors(object)) continue;
      last = object;
    }
    return last;
  }

  struct Function {
    uint32_t object = kNoIndex;
    std::string name;
  };
  // The function of those called before main that was begun last; its mark shows it.
  [[nodiscard]] Function LastFunction() const {
    Function found;
    for (const auto& mark : evidence_.marks) {
      if (mark.value.kind != MarkKind::kInitFunction && mark.value.kind != MarkKind::kRustStage) {
        continue;
      }
      const AddressMap::Place place = map_.Find(mark.value.ip);
      if (place.object == kNoIndex) continue;
      found = {place.object, NameOfFunction(place)};
    }
    return found;
  }

  [[nodiscard]] std::string PathOf(uint32_t object) const {
    return object == kNoIndex ? std::string() : map_.object(object).path;
  }

 private:
  static bool IsLoaded(ObjectKind kind) {
    return kind == ObjectKind::kLibrary || kind == ObjectKind::kExecutable;
  }

  [[nodiscard]] const ImageFacts* FactsOf(uint32_t object) const {
    if (object == executable_ && images_.executable != nullptr) {
      return images_.executable->facts.get();
    }
    return images_.FactsOf(map_.object(object).file);
  }

  [[nodiscard]] bool HasNoConstructors(uint32_t object) const {
    const ImageFacts* facts = FactsOf(object);
    return facts != nullptr && facts->link.known && facts->link.constructors == 0;
  }

  [[nodiscard]] std::string NameOfFunction(const AddressMap::Place& place) const {
    const ImageFacts* facts = FactsOf(place.object);
    if (facts == nullptr) return {};
    for (const InitFunction& function : facts->init_functions) {
      if (function.site.file_offset != place.file_offset) continue;
      return function.symbol.empty() ? function.unit : function.symbol;
    }
    return {};
  }

  const Evidence& evidence_;
  const StartupImages& images_;
  AddressMap map_;
  uint32_t executable_ = kNoIndex;
  std::vector<uint32_t> libraries_;  // in order of mapping
  std::set<uint32_t> relocated_;
  uint64_t last_relocated_ns_ = 0;
};

void NameObject(const LoaderProgress& progress, const BoundaryFinder& finder,
                uint64_t phase_begin_ns, StuckStartup* stuck) {
  const bool dynamic = stuck->runtime.linkage == Linkage::kDynamic;
  switch (stuck->phase) {
    case Phase::kLoaderBootstrap:
      stuck->object = finder.loader_path();
      break;
    case Phase::kDependencyMapping:
      stuck->object = progress.PathOf(progress.LastMapped());
      break;
    case Phase::kRelocation:
      stuck->object =
          progress.PathOf(dynamic ? progress.Relocating(phase_begin_ns, stuck->runtime.libc)
                                  : progress.executable());
      break;
    case Phase::kConstructors:
    case Phase::kRuntimeInit: {
      LoaderProgress::Function function = progress.LastFunction();
      if (function.object == kNoIndex) {
        // glibc runs the constructors of the executable after its entry point (csu/libc-start.c,
        // call_init).
        function.object = stuck->phase == Phase::kRuntimeInit
                              ? progress.executable()
                              : progress.Constructing(phase_begin_ns);
      }
      stuck->object = progress.PathOf(function.object);
      stuck->function = std::move(function.name);
      break;
    }
    default:
      break;
  }
}

}  // namespace

StuckStartup FindStuck(const Evidence& evidence, const StartupImages& images,
                       const BuildOptions& options, uint64_t boottime_ns) {
  const Startup identity = DescribeStartup(evidence, images, options);
  StuckStartup stuck;
  stuck.startup_id = identity.startup_id;
  stuck.process = identity.process;
  stuck.runtime = identity.runtime;
  stuck.compat = evidence.exec.compat;
  const uint64_t begin_ns = evidence.exec.begin_boottime_ns;
  End now;
  now.boottime_ns = std::max({boottime_ns, begin_ns, evidence.exec_boottime_ns});
  stuck.elapsed_ns = now.boottime_ns - begin_ns;

  const bool exact = options.precision == Precision::kExact;
  const BoundaryFinder finder(evidence, images, !exact, /*goes_on=*/true);
  const bool known = images.executable != nullptr && images.executable->facts->error.empty();
  const bool entry_is_main = known && EntryIsMain(*images.executable->facts);
  std::optional<Boundary> main = finder.Find(Moment::kMain);
  if (!main && entry_is_main) main = finder.Find(Moment::kEntry);
  if (!main && !(exact && MainWasMarked(images.executable, begin_ns))) main = finder.InferMain();
  const Cut cut =
      CutPhases(PhasePolicyFor(stuck.runtime, entry_is_main), finder, main, evidence, now);
  if (cut.slices.empty()) return stuck;
  const PhaseSlice& slice = cut.slices.back();
  stuck.phase = slice.phase;
  stuck.phase_source = slice.begin_source;
  stuck.phase_elapsed_ns = slice.duration_ns;
  const LoaderProgress progress(evidence, images, finder, options);
  NameObject(progress, finder, begin_ns + slice.offset_ns, &stuck);
  return stuck;
}

uint64_t LastStuckMoment(uint64_t after_ns, uint64_t elapsed_ns) {
  if (after_ns == 0 || elapsed_ns < after_ns) return 0;
  uint64_t moment = after_ns;
  while (moment <= elapsed_ns / 2) moment *= 2;
  return moment;
}

uint64_t NextStuckMoment(uint64_t after_ns, uint64_t elapsed_ns) {
  const uint64_t last = LastStuckMoment(after_ns, elapsed_ns);
  return last == 0 ? after_ns : last * 2;
}

}  // namespace startscope
