// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/constructor_ledger.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "daemon/model/init_call.h"
#include "daemon/model/loader_ledger.h"
#include "daemon/model/mark_names.h"

namespace startscope {
namespace {

constexpr uint64_t kPageBytes = 4096;

// Marks whose moment ends what ran before it, on their thread.
bool EndsConstructor(MarkKind kind) {
  switch (kind) {
    case MarkKind::kEntry:
    case MarkKind::kLibcStart:
    case MarkKind::kMain:
    case MarkKind::kGoSchedinit:
    case MarkKind::kGoRuntimeMain:
    case MarkKind::kRustLangStart:
    case MarkKind::kInitFunction:
    case MarkKind::kRustStage:
    case MarkKind::kInitEnd:
    case MarkKind::kGoMainInit:
      return true;
    default:
      return false;
  }
}

// Its constructors had marks when the startup began.
bool IsMarked(const LoadedObject& object, uint64_t begin_ns) {
  constexpr uint32_t kInitKinds = 1u << static_cast<unsigned>(MarkKind::kInitFunction) |
                                  1u << static_cast<unsigned>(MarkKind::kRustStage);
  return object.image != nullptr && (object.image->attached_marks & kInitKinds) != 0 &&
         object.image->attached_boottime_ns != 0 && object.image->attached_boottime_ns <= begin_ns;
}

// A constructor as the loader or the start code calls it. What a language's own runtime calls is in
// runtime_stages.
bool IsConstructor(const InitFunction& function) {
  return function.kind == InitKind::kPreinitArray || function.kind == InitKind::kInit ||
         function.kind == InitKind::kInitArray;
}

// Something that began.
struct Begin {
  uint64_t boottime_ns = 0;
  uint32_t tid = 0;
  const LoadedObject* object = nullptr;    // nullptr: no constructor, but the end of one
  const InitFunction* function = nullptr;  // nullptr: some constructor of the object
  const Counters* counters = nullptr;      // nullptr: not read then
};

class Account {
 public:
  Account(const Evidence& evidence, const End& end, const std::vector<LoadedObject>& loaded,
          const ConstructorTerms& terms, Startup* startup)
      : evidence_(evidence),
        end_(end),
        loaded_(loaded),
        terms_(terms),
        startup_(*startup),
        begin_ns_(evidence.exec.begin_boottime_ns) {}

  void Run() {
    if (terms_.marks) AddMarks();
    AddFirstFaults();
    std::stable_sort(begins_.begin(), begins_.end(),
                     [](const Begin& a, const Begin& b) { return a.boottime_ns < b.boottime_ns; });
    for (size_t i = 0; i < begins_.size(); ++i) {
      if (begins_[i].object != nullptr) Charge(i);
    }
    NameMarks();
  }

 private:
  [[nodiscard]] const LoadedObject* ObjectAt(const MarkEvent& mark) const {
    for (const LoadedObject& one : loaded_) {
      if (one.image != nullptr && one.image->image == mark.image) return &one;
    }
    return nullptr;
  }

  void AddMarks() {
    begins_.reserve(evidence_.marks.size() + loaded_.size());
    for (const auto& mark : evidence_.marks) {
      if (mark.boottime_ns > end_.boottime_ns || !EndsConstructor(mark.value.kind)) continue;
      Begin begin{mark.boottime_ns, mark.tid, nullptr, nullptr, &mark.value.now};
      const bool is_init =
          mark.value.kind == MarkKind::kInitFunction || mark.value.kind == MarkKind::kRustStage;
      if (const LoadedObject* object = is_init ? ObjectAt(mark.value) : nullptr) {
        InitFunctionIndex& functions =
            functions_.try_emplace(object, object->facts).first->second;
        begin.function = functions.Find(mark.value.ip - object->bias);
        if (begin.function != nullptr && IsConstructor(*begin.function)) begin.object = object;
      }
      begins_.push_back(begin);
    }
  }

  // Constructors run in these phases: of libraries in the first (of all objects with musl), of the
  // executable in the second.
  [[nodiscard]] bool MayConstruct(const LoadedObject& object, uint64_t boottime_ns) const {
    const PhaseSlice* slice = SliceAt(startup_, boottime_ns);
    if (slice == nullptr) return false;
    if (slice->phase == Phase::kConstructors) {
      return startup_.runtime.libc == Libc::kMusl || !object.is_executable;
    }
    return slice->phase == Phase::kRuntimeInit && object.is_executable;
  }

  void AddFirstFaults() {
    struct Page {
      uint64_t number = 0;
      const LoadedObject* object = nullptr;
      bool operator<(const Page& other) const { return number < other.number; }
    };
    std::vector<Page> pages;
    for (const LoadedObject& one : loaded_) {
      if (one.facts == nullptr || (terms_.marks && IsMarked(one, begin_ns_))) continue;
      for (const InitFunction& function : one.facts->init_functions) {
        if (!IsConstructor(function) || function.address == 0) continue;
        pages.push_back({(one.bias + function.address) / kPageBytes, &one});
      }
    }
    std::sort(pages.begin(), pages.end());
    for (const auto& fault : evidence_.faults) {
      const FaultEvent& value = fault.value;
      if (!value.instruction_fetch || value.kernel_mode || fault.tid != evidence_.pid) continue;
      if (fault.boottime_ns > end_.boottime_ns) break;
      const auto page =
          std::lower_bound(pages.begin(), pages.end(), Page{value.address / kPageBytes, nullptr});
      if (page == pages.end() || page->number != value.address / kPageBytes) continue;
      const bool timed =
          value.entry_boottime_ns != 0 && value.entry_boottime_ns <= fault.boottime_ns;
      const uint64_t entry_ns = timed ? value.entry_boottime_ns : fault.boottime_ns;
      if (!MayConstruct(*page->object, entry_ns)) continue;
      begins_.push_back({entry_ns, fault.tid, page->object, nullptr, nullptr});
    }
  }

  void Charge(size_t index) {
    const Begin& begin = begins_[index];
    MappedObject* object = ObjectOf(begin.object->file, &startup_);
    const PhaseSlice* slice = SliceAt(startup_, begin.boottime_ns);
    if (object == nullptr || slice == nullptr) return;
    // A constructor may be called like any function later; only what main loads has some to run
    // then.
    const uint64_t slice_ns = startup_.begin_boottime_ns + slice->offset_ns;
    if (slice->phase == Phase::kMain && begin.object->first_ns < slice_ns) return;
    // What ran next on its thread.
    const bool is_leader = begin.tid == evidence_.pid;
    std::optional<uint64_t> until;
    const Counters* counters = nullptr;
    for (size_t next = index + 1; next < begins_.size(); ++next) {
      if (begins_[next].tid != begin.tid) continue;
      until = begins_[next].boottime_ns;
      counters = begins_[next].counters;
      break;
    }
    // A phase ends with the main thread's step into the next; of other threads' ends nothing is
    // known.
    if (is_leader) {
      const uint64_t slice_end = slice_ns + slice->duration_ns;
      if (!until || *until > slice_end) {
        until = slice_end;
        counters = slice_end == end_.boottime_ns && end_.counters ? &*end_.counters : nullptr;
      }
    }
    BoundarySource source = BoundarySource::kFirstFault;
    if (begin.function != nullptr) source = SourceOfRung(begin.function->site.rung);
    if (until) {
      object->constructor_ns = object->constructor_ns.value_or(0) + (*until - begin.boottime_ns);
      if (object->constructor_source == BoundarySource::kUnspecified) {
        object->constructor_source = source;
      }
    }
    if (!terms_.functions || begin.function == nullptr) return;
    if (calls_ >= terms_.max_calls) {
      ++object->init_calls_omitted;
      return;
    }
    ++calls_;
    InitCall call;
    call.kind = begin.function->kind;
    call.symbol = begin.function->symbol;
    call.unit = begin.function->unit;
    call.address = begin.function->address;
    call.offset_ns = begin.boottime_ns - begin_ns_;
    call.source = source;
    if (until) call.duration_ns = *until - begin.boottime_ns;
    // The scheduler's figures are the main thread's, and the fault counts the whole process's.
    if (is_leader && begin.counters != nullptr && counters != nullptr) {
      SetUsage(*begin.counters, *counters, &call);
    }
    object->init_calls.push_back(std::move(call));
  }

  // The timeline names the functions.
  void NameMarks() {
    if (!startup_.timeline) return;
    auto next = begins_.begin();
    for (TimelineEntry& entry : startup_.timeline->entries) {
      auto* mark = std::get_if<SubMark>(&entry.entry);
      if (mark == nullptr) continue;
      const uint64_t at_ns = begin_ns_ + mark->offset_ns;
      while (next != begins_.end() && next->boottime_ns < at_ns) ++next;
      for (auto it = next; it != begins_.end() && it->boottime_ns == at_ns; ++it) {
        if (it->tid != entry.tid || it->function == nullptr) continue;
        if (!it->function->symbol.empty()) mark->name = it->function->symbol;
        mark->source = SourceOfRung(it->function->site.rung);
        break;
      }
    }
  }

  const Evidence& evidence_;
  const End& end_;
  const std::vector<LoadedObject>& loaded_;
  const ConstructorTerms& terms_;
  Startup& startup_;
  const uint64_t begin_ns_;
  std::vector<Begin> begins_;
  absl::flat_hash_map<const LoadedObject*, InitFunctionIndex> functions_;
  size_t calls_ = 0;
};

}  // namespace

void AccountConstructors(const Evidence& evidence, const End& end,
                         const std::vector<LoadedObject>& loaded, const ConstructorTerms& terms,
                         Startup* startup) {
  Account(evidence, end, loaded, terms, startup).Run();
}

std::vector<const LoadedObject*> UnmarkedLibraries(const Evidence& evidence,
                                                   const std::vector<LoadedObject>& loaded) {
  std::vector<const LoadedObject*> unmarked;
  for (const LoadedObject& one : loaded) {
    if (one.is_executable || one.is_loader || one.facts == nullptr) continue;
    if (HasInitSites(*one.facts) && !IsMarked(one, evidence.exec.begin_boottime_ns)) {
      unmarked.push_back(&one);
    }
  }
  return unmarked;
}

}  // namespace startscope
