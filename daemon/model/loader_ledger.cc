// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/loader_ledger.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace startscope {
namespace {

constexpr uint32_t kRtldLazy = 1;         // <dlfcn.h>; the loader's own mode of relocation too
constexpr size_t kMaxSearchMisses = 256;  // directories listed of one object

class Account {
 public:
  Account(const Evidence& evidence, const End& end, const BoundaryFinder& finder,
          const std::vector<LoadedObject>& loaded, const LoaderTerms& terms, Startup* startup)
      : evidence_(evidence),
        end_(end),
        finder_(finder),
        loaded_(loaded),
        terms_(terms),
        startup_(*startup),
        begin_(evidence.exec.begin_boottime_ns) {}

  void Run() {
    Map();
    CountRelocations();
    const PhaseSlice* relocation = SliceOf(startup_, Phase::kRelocation);
    if (startup_.runtime.linkage == Linkage::kStaticPie) {
      if (relocation != nullptr) RelocateItself(*relocation);
    } else if (!RelocateByMarks()) {
      RelocateByProtection();
    }
    SetUpTls();
    if (terms_.searches) Search();
  }

 private:
  [[nodiscard]] uint64_t BeginOf(const PhaseSlice& slice) const { return begin_ + slice.offset_ns; }
  [[nodiscard]] uint64_t EndOf(const PhaseSlice& slice) const {
    return BeginOf(slice) + slice.duration_ns;
  }

  // Each from the end of the one before it.
  void Map() {
    const PhaseSlice* slice = SliceOf(startup_, Phase::kDependencyMapping);
    if (slice == nullptr) return;
    uint64_t cursor = BeginOf(*slice);
    for (const LoadedObject& one : loaded_) {
      if (one.is_executable || one.is_loader || one.first_ns < BeginOf(*slice)) continue;
      if (one.first_ns > EndOf(*slice)) break;
      MappedObject* object = ObjectOf(one.file, &startup_);
      const uint64_t mapped = std::min(one.mapped_ns, EndOf(*slice));
      if (object == nullptr || mapped < cursor) continue;
      object->mapping_ns = mapped - cursor;
      object->mapping_source = BoundarySource::kMapping;
      cursor = mapped;
    }
  }

  void CountRelocations() {
    for (const LoadedObject& one : loaded_) {
      MappedObject* object = ObjectOf(one.file, &startup_);
      if (object == nullptr || one.facts == nullptr || !one.facts->link.known) continue;
      const RelocationCounts& counts = one.facts->link.relocations;
      // glibc leaves calls through the PLT to their first use; musl does not.
      const bool lazy =
          startup_.runtime.libc == Libc::kGlibc && !one.is_loader && !one.facts->link.bind_now;
      object->relocations = counts.total() - (lazy ? counts.jump_slot : 0);
    }
  }

  void RelocateItself(const PhaseSlice& slice) {
    for (const LoadedObject& one : loaded_) {
      if (!one.is_executable) continue;
      if (MappedObject* object = ObjectOf(one.file, &startup_)) {
        object->relocation_ns = slice.duration_ns;
        object->relocation_source = slice.end_source;
      }
    }
  }

  [[nodiscard]] const LoadedObject* ByBias(uint64_t bias) const {
    for (const LoadedObject& one : loaded_) {
      if (one.bias == bias) return &one;
    }
    return nullptr;
  }

  // Where the loader says which object it begins with. False: it did not.
  bool RelocateByMarks() {
    if (!terms_.marks) return false;
    bool any = false;
    const auto& marks = evidence_.marks;
    for (size_t i = 0; i < marks.size(); ++i) {
      const auto& mark = marks[i];
      if (mark.value.kind != MarkKind::kRelocateObject || mark.boottime_ns > end_.boottime_ns) {
        continue;
      }
      any = true;
      const LoadedObject* one = ByBias(mark.value.word);
      MappedObject* object = one == nullptr ? nullptr : ObjectOf(one->file, &startup_);
      const PhaseSlice* slice = SliceAt(startup_, mark.boottime_ns);
      if (object == nullptr || slice == nullptr) continue;
      uint64_t until = EndOf(*slice);
      for (size_t next = i + 1; next < marks.size(); ++next) {
        if (marks[next].tid != mark.tid) continue;
        until = std::min(until, marks[next].boottime_ns);
        break;
      }
      // The last thing done to it is the protection of its RELRO.
      const auto& relro = one->relro_ns;
      if (relro && *relro >= mark.boottime_ns && *relro <= until) until = *relro;
      object->relocation_ns = object->relocation_ns.value_or(0) + (until - mark.boottime_ns);
      object->relocation_source = finder_.SourceOfMark(mark.value);
      // LD_BIND_NOW shows in no file.
      if (object->relocations && (mark.value.arg2 & kRtldLazy) == 0) {
        object->relocations = one->facts->link.relocations.total();
      }
    }
    return any;
  }

  // Objects are relocated one after the other, and each ends with the protection of its RELRO. One
  // that has none is part of the next.
  void RelocateByProtection() {
    const PhaseSlice* slice = SliceOf(startup_, Phase::kRelocation);
    std::vector<const LoadedObject*> by_end;
    by_end.reserve(loaded_.size());
    for (const LoadedObject& one : loaded_) {
      if (one.relro_ns && *one.relro_ns <= end_.boottime_ns) by_end.push_back(&one);
    }
    std::stable_sort(by_end.begin(), by_end.end(),
                     [](const auto* a, const auto* b) { return *a->relro_ns < *b->relro_ns; });
    uint64_t cursor = 0;
    for (const LoadedObject* one : by_end) {
      const uint64_t done = *one->relro_ns;
      MappedObject* object = ObjectOf(one->file, &startup_);
      const bool in_phase = slice != nullptr && done >= BeginOf(*slice) && done <= EndOf(*slice);
      uint64_t from = cursor;
      if (in_phase) {
        from = std::max(from, BeginOf(*slice));
      } else if (slice == nullptr || done < BeginOf(*slice)) {
        // Before the phase only a loader does so, with itself; without a phase nothing tells the
        // begin.
        cursor = done;
        continue;
      } else {
        // Loaded by dlopen: from the last that was mapped along with it.
        for (const LoadedObject& other : loaded_) {
          if (other.mapped_ns <= done) from = std::max(from, other.mapped_ns);
        }
      }
      if (object != nullptr && from != 0) {
        object->relocation_ns = done - from;
        object->relocation_source = BoundarySource::kMapping;
      }
      cursor = done;
    }
  }

  void SetUpTls() {
    TlsSetup tls;
    for (const LoadedObject& one : loaded_) {
      if (one.facts == nullptr || one.facts->link.tls_bytes == 0) continue;
      tls.bytes += one.facts->link.tls_bytes;
      ++tls.objects;
    }
    if (tls.objects == 0) return;
    if (terms_.marks) TimeTls(&tls);
    startup_.tls = tls;
  }

  void TimeTls(TlsSetup* tls) const {
    const Timed<MarkEvent>* begun = nullptr;
    for (const auto& mark : evidence_.marks) {
      if (mark.tid != evidence_.pid || mark.boottime_ns > end_.boottime_ns) continue;
      if (begun == nullptr && mark.value.kind == MarkKind::kTlsBegin) begun = &mark;
      if (begun == nullptr || mark.value.kind != MarkKind::kTlsEnd) continue;
      tls->offset_ns = begun->boottime_ns - begin_;
      tls->duration_ns = mark.boottime_ns - begun->boottime_ns;
      tls->source = finder_.SourceOfMark(begun->value);
      return;
    }
  }

  // Calls that looked for a library by its name, and did not find it, before it was mapped.
  void Search() {
    struct Misses {
      uint64_t duration_ns = 0;
      std::vector<SearchMiss> listed;  // in the order in which they were looked at
      std::map<std::string, size_t> by_directory;
    };
    std::map<std::string, const LoadedObject*> wanted;
    for (const LoadedObject& one : loaded_) {
      if (one.is_executable || one.is_loader) continue;
      wanted.try_emplace(std::string(one.path.substr(one.path.rfind('/') + 1)), &one);
      if (one.facts != nullptr && !one.facts->soname.empty()) {
        wanted.try_emplace(one.facts->soname, &one);
      }
    }
    std::map<const LoadedObject*, Misses> found;
    for (const auto& call : evidence_.calls) {
      const std::string& path = call.value.path;
      const size_t slash = path.rfind('/');
      if (slash == std::string::npos) continue;
      const auto it = wanted.find(path.substr(slash + 1));
      if (it == wanted.end() || call.boottime_ns > it->second->first_ns) continue;
      const uint64_t entry = call.value.entry_boottime_ns;
      const bool timed = entry != 0 && entry <= call.boottime_ns;
      const uint64_t duration = timed ? call.boottime_ns - entry : 0;
      Misses& misses = found[it->second];
      misses.duration_ns += duration;
      const std::string directory = slash == 0 ? "/" : path.substr(0, slash);
      auto place = misses.by_directory.find(directory);
      if (place == misses.by_directory.end()) {
        if (misses.listed.size() >= kMaxSearchMisses) continue;
        place = misses.by_directory.emplace(directory, misses.listed.size()).first;
        misses.listed.push_back({directory});
      }
      SearchMiss& miss = misses.listed[place->second];
      ++miss.count;
      miss.duration_ns += duration;
    }
    for (const auto& [name, one] : wanted) {
      MappedObject* object = ObjectOf(one->file, &startup_);
      if (object == nullptr || object->search_ns) continue;
      Misses& misses = found[one];
      object->search_ns = misses.duration_ns;
      object->search_misses = std::move(misses.listed);
    }
  }

  const Evidence& evidence_;
  const End& end_;
  const BoundaryFinder& finder_;
  const std::vector<LoadedObject>& loaded_;
  const LoaderTerms& terms_;
  Startup& startup_;
  const uint64_t begin_;
};

}  // namespace

MappedObject* ObjectOf(const FileId& file, Startup* startup) {
  const auto found =
      std::find_if(startup->objects.begin(), startup->objects.end(),
                   [&file](const MappedObject& object) { return object.file == file; });
  return found == startup->objects.end() ? nullptr : &*found;
}

const PhaseSlice* SliceAt(const Startup& startup, uint64_t boottime_ns) {
  const PhaseSlice* at = nullptr;
  for (const PhaseSlice& slice : startup.phases) {
    if (startup.begin_boottime_ns + slice.offset_ns <= boottime_ns) at = &slice;
  }
  return at;
}

const PhaseSlice* SliceOf(const Startup& startup, Phase phase) {
  for (const PhaseSlice& slice : startup.phases) {
    if (slice.phase == phase) return &slice;
  }
  return nullptr;
}

void AccountLoading(const Evidence& evidence, const End& end, const BoundaryFinder& finder,
                    const std::vector<LoadedObject>& loaded, const LoaderTerms& terms,
                    Startup* startup) {
  Account(evidence, end, finder, loaded, terms, startup).Run();
}

}  // namespace startscope
