// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/runtime_stages.h"

#include <sys/resource.h>
#include <sys/syscall.h>

#include <algorithm>
#include <csignal>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/model/init_call.h"
#include "daemon/model/mark_names.h"

namespace startscope {
namespace {

constexpr size_t kMaxSubMarks = 64;

bool IsStage(MarkKind kind) {
  switch (kind) {
    case MarkKind::kLibcStart:
    case MarkKind::kGoSchedinit:
    case MarkKind::kGoRuntimeMain:
    case MarkKind::kInitEnd:
    case MarkKind::kGoMainInit:
    case MarkKind::kRustLangStart:
      return true;
    default:
      return false;
  }
}

// The executable's init functions by their marks.
class InitFunctions {
 public:
  InitFunctions(const Evidence& evidence, const StartupImages& images) {
    if (images.executable == nullptr) return;
    facts_ = images.executable->facts.get();
    image_ = images.executable->image;
    shift_ = evidence.exec.at_entry - facts_->entry_address;
    index_ = InitFunctionIndex(facts_);
  }

  [[nodiscard]] const InitFunction* Find(const MarkEvent& mark) {
    const bool is_of_one =
        mark.kind == MarkKind::kInitFunction || mark.kind == MarkKind::kRustStage;
    if (!is_of_one || mark.image != image_) return nullptr;
    const InitFunction* function = index_.Find(mark.ip - shift_);
    return function != nullptr && function->site.kind == mark.kind ? function : nullptr;
  }
  [[nodiscard]] bool is_go() const {
    return facts_ != nullptr && facts_->language == Language::kGo;
  }

 private:
  const ImageFacts* facts_ = nullptr;
  uint32_t image_ = 0;
  uint64_t shift_ = 0;
  InitFunctionIndex index_;
};

// Collects sub-marks, each name once, where it was seen first.
class Stages {
 public:
  explicit Stages(uint64_t begin_ns) : begin_ns_(begin_ns) {}

  void Add(const std::string& name, uint64_t boottime_ns, BoundarySource source) {
    if (boottime_ns < begin_ns_ || Has(name) || marks_.size() >= kMaxSubMarks) return;
    marks_.push_back({name, boottime_ns - begin_ns_, source});
  }
  [[nodiscard]] bool Has(const std::string& name) const {
    return std::any_of(marks_.begin(), marks_.end(),
                       [&](const SubMark& mark) { return mark.name == name; });
  }
  void MoveTo(std::vector<PhaseSlice>* slices) {
    std::stable_sort(marks_.begin(), marks_.end(),
                     [](const SubMark& a, const SubMark& b) { return a.offset_ns < b.offset_ns; });
    for (PhaseSlice& slice : *slices) {
      if (slice.phase != Phase::kRuntimeInit) continue;
      for (SubMark& mark : marks_) {
        const bool inside = mark.offset_ns >= slice.offset_ns &&
                            mark.offset_ns <= slice.offset_ns + slice.duration_ns;
        if (inside) slice.sub_marks.push_back(std::move(mark));
      }
      return;
    }
  }

 private:
  const uint64_t begin_ns_;
  std::vector<SubMark> marks_;
};

// A system call that std::rt makes before main, and no other code of a runtime between entry point
// and main does (library/std/src/sys/pal/unix/mod.rs and stack_overflow.rs; nptl's
// pthread_getattr_np for the stack's bounds).
struct RustCall {
  const char* stage;
  uint32_t number;
  bool (*matches)(const SyscallEvent& call);
};
constexpr RustCall kRustCalls[] = {
    {"std::rt: standard descriptors", SYS_poll,
     [](const SyscallEvent& call) { return call.args[1] == 3; }},
    {"std::rt: SIGPIPE", SYS_rt_sigaction,
     [](const SyscallEvent& call) { return call.args[0] == SIGPIPE && call.args[1] != 0; }},
    {"std::rt: stack bounds", SYS_prlimit64,
     [](const SyscallEvent& call) { return call.args[1] == RLIMIT_STACK; }},
    {"std::rt: signal stack", SYS_sigaltstack,
     [](const SyscallEvent& call) { return call.args[0] != 0; }},
    {"std::rt: stack overflow handler", SYS_rt_sigaction,
     [](const SyscallEvent& call) { return call.args[0] == SIGSEGV && call.args[1] != 0; }},
};

// The stages of std::rt by its system calls. They come in order, and libc's own start makes some of
// the same calls: only what follows the first stage counts.
void AddRustCalls(const Evidence& evidence, uint64_t end_ns, Stages* stages) {
  const RustCall* next = std::begin(kRustCalls);
  for (const auto& call : evidence.calls) {
    const uint64_t time = call.value.entry_boottime_ns;
    if (call.tid != evidence.pid || time < evidence.exec_boottime_ns) continue;
    if (time > end_ns) return;
    for (const RustCall* stage = next; stage != std::end(kRustCalls); ++stage) {
      if (call.value.number == stage->number && stage->matches(call.value)) {
        stages->Add(stage->stage, time, BoundarySource::kTracepoint);
        next = stage + 1;
        break;
      }
      if (next == std::begin(kRustCalls)) break;
    }
    if (next == std::end(kRustCalls)) return;
  }
}

}  // namespace

void AddRuntimeStages(const Evidence& evidence, const StartupImages& images, const End& end,
                      const BoundaryFinder& finder, const StageSources& sources, Startup* startup) {
  const bool dynamic_musl =
      startup->runtime.libc == Libc::kMusl && startup->runtime.linkage == Linkage::kDynamic;
  Stages stages(evidence.exec.begin_boottime_ns);
  if (sources.marks) {
    InitFunctions functions(evidence, images);
    const std::string package_inits = MarkName(MarkKind::kGoMainInit);
    bool runtime_is_done = false;
    for (const auto& mark : evidence.marks) {
      const MarkKind kind = mark.value.kind;
      if (mark.boottime_ns > end.boottime_ns) continue;
      runtime_is_done |= kind == MarkKind::kInitEnd;
      if (const InitFunction* function = functions.Find(mark.value)) {
        const BoundarySource source = SourceOfRung(function->site.rung);
        if (function->kind == InitKind::kRuntimeStage) {
          stages.Add(function->unit, mark.boottime_ns, source);
        } else if (runtime_is_done && function->kind == InitKind::kGoPackage) {
          // Go 1.21 and later begin with the packages without a call that could be marked.
          stages.Add(package_inits, mark.boottime_ns, source);
        }
        continue;
      }
      if (!IsStage(kind)) continue;
      if (dynamic_musl && kind == MarkKind::kLibcStart) continue;  // a boundary there
      stages.Add(MarkName(kind), mark.boottime_ns, finder.SourceOfMark(mark.value));
    }
  }
  if (sources.calls && startup->runtime.language == Language::kRust) {
    AddRustCalls(evidence, end.boottime_ns, &stages);
  }
  stages.MoveTo(&startup->phases);
}

void AddPackageInits(const Evidence& evidence, const StartupImages& images, const End& end,
                     Startup* startup) {
  if (startup->level < Level::kFunctions) return;  // the marks are another watch's
  InitFunctions functions(evidence, images);
  if (!functions.is_go()) return;
  const auto object =
      std::find_if(startup->objects.begin(), startup->objects.end(),
                   [](const MappedObject& one) { return one.kind == ObjectKind::kExecutable; });
  if (object == startup->objects.end()) return;
  const uint64_t begin = evidence.exec.begin_boottime_ns;
  InitCall* open = nullptr;
  const MarkEvent* opened = nullptr;
  for (const auto& mark : evidence.marks) {
    if (mark.boottime_ns > end.boottime_ns || mark.boottime_ns < begin) continue;
    const InitFunction* function = functions.Find(mark.value);
    const bool is_init = function != nullptr && function->kind == InitKind::kGoPackage;
    // The next function of a package, or one that is entered again after its stack has grown.
    if (is_init && open != nullptr && open->unit == function->unit) continue;
    if (open != nullptr) {
      open->duration_ns = mark.boottime_ns - begin - open->offset_ns;
      SetUsage(opened->now, mark.value.now, open);
      open = nullptr;
    }
    if (mark.value.kind == MarkKind::kMain) return;
    if (!is_init) continue;
    if (object->init_calls.size() >= kMaxInitFunctions) {
      ++object->init_calls_omitted;
      continue;
    }
    InitCall call;
    call.kind = InitKind::kGoPackage;
    call.symbol = function->symbol;
    call.unit = function->unit;
    call.address = function->address;
    call.offset_ns = mark.boottime_ns - begin;
    call.source = SourceOfRung(function->site.rung);
    object->init_calls.push_back(std::move(call));
    open = &object->init_calls.back();
    opened = &mark.value;
  }
}

}  // namespace startscope
