// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/boundary_finder.h"

#include <sys/mman.h>

#include <algorithm>
#include <utility>

#include "daemon/model/invoked_loader.h"
#include "daemon/model/mark_names.h"

namespace startscope {
namespace {

constexpr uint64_t kPageBytes = 4096;
// One file fault maps the pages around it too, up to this much (mm/memory.c fault_around_bytes):
// code this near to code that ran already need not fault.
constexpr uint64_t kFaultAroundBytes = 64 << 10;

uint64_t EntryTime(const Timed<FaultEvent>& fault) {
  return fault.value.entry_boottime_ns != 0 ? fault.value.entry_boottime_ns : fault.boottime_ns;
}

std::optional<Boundary> Earlier(std::optional<Boundary> a, std::optional<Boundary> b) {
  if (!a) return b;
  if (!b) return a;
  return b->boottime_ns < a->boottime_ns ? b : a;
}

bool Covers(const MappingEvent& mapping, uint64_t address) {
  return address >= mapping.address && address - mapping.address < mapping.size_bytes;
}

}  // namespace

bool IsProtection(const MappingEvent& mapping, bool was_writable) {
  return was_writable && (mapping.prot & PROT_WRITE) == 0;
}

BoundaryFinder::BoundaryFinder(const Evidence& evidence, const StartupImages& images,
                               bool ignore_marks, bool goes_on)
    : evidence_(evidence), images_(images), ignore_marks_(ignore_marks), goes_on_(goes_on) {
  executable_ = evidence.exec.executable;
  entry_address_ = EntryAddress(
      evidence, images.executable != nullptr ? images.executable->facts.get() : nullptr);
  const uint64_t headers =
      evidence.exec.at_phdr != 0 ? evidence.exec.at_phdr : evidence.exec.at_entry;
  for (const auto& mapping : evidence.mappings) {
    if (mapping.value.file.inode == 0 || !Covers(mapping.value, headers)) continue;
    executable_ = mapping.value.file;
    break;
  }
  if (evidence.exec.at_base == 0) return;
  for (const auto& mapping : evidence.mappings) {
    if (mapping.value.file.inode == 0 || !Covers(mapping.value, evidence.exec.at_base)) continue;
    loader_ = mapping.value.file;
    loader_path_ = &mapping.value.path;
    return;
  }
}

std::optional<Boundary> BoundaryFinder::Find(Moment moment) const {
  switch (moment) {
    case Moment::kExecBegin:
      return Boundary{evidence_.exec.begin_boottime_ns, BoundarySource::kTracepoint,
                      evidence_.exec.begin};
    case Moment::kFirstInstruction:
      return FirstInstruction();
    case Moment::kDependenciesBegin:
      return DependenciesBegin();
    case Moment::kDependenciesMapped:
      return DependenciesMapped();
    case Moment::kRelocated:
      return Relocated();
    case Moment::kSelfRelocated:
      return SelfRelocated();
    case Moment::kEntry:
      return Entry();
    case Moment::kLibcStart:
      return FindMark(MarkKind::kLibcStart, evidence_.exec_boottime_ns);
    case Moment::kMain:
      return FindMark(MarkKind::kMain, evidence_.exec_boottime_ns);
  }
  return std::nullopt;
}

BoundarySource BoundaryFinder::SourceOfMark(const MarkEvent& mark) const {
  for (const KnownImage* image : {images_.executable, images_.loader}) {
    if (image == nullptr || image->image != mark.image) continue;
    for (const MarkSite& site : image->facts->sites) {
      if (site.kind == mark.kind) return SourceOfRung(site.rung);
    }
  }
  return BoundarySource::kSymbolUprobe;
}

std::optional<Boundary> BoundaryFinder::FindMark(MarkKind kind, uint64_t not_before_ns) const {
  if (ignore_marks_) return std::nullopt;
  for (const auto& mark : evidence_.marks) {
    if (mark.value.kind != kind || mark.boottime_ns < not_before_ns) continue;
    return Boundary{mark.boottime_ns, SourceOfMark(mark.value), mark.value.now};
  }
  return std::nullopt;
}

bool BoundaryFinder::Awaits(MarkKind kind) const {
  if (!goes_on_ || ignore_marks_) return false;
  for (const KnownImage* image : {images_.executable, images_.loader}) {
    if (image == nullptr || image->attached_boottime_ns == 0) continue;
    if ((image->attached_marks & (1u << static_cast<unsigned>(kind))) == 0) continue;
    if (image->attached_boottime_ns <= evidence_.exec.begin_boottime_ns) return true;
  }
  return false;
}

std::optional<Boundary> BoundaryFinder::FirstInstruction() const {
  const MarkKind own = evidence_.exec.at_base != 0 ? MarkKind::kLoaderEntry : MarkKind::kEntry;
  const std::optional<Boundary> mark = FindMark(own, evidence_.exec_boottime_ns);
  for (const auto& fault : evidence_.faults) {
    if (!fault.value.instruction_fetch || fault.value.kernel_mode) continue;
    const uint64_t time = EntryTime(fault);
    if (time < evidence_.exec_boottime_ns) continue;
    return Earlier(mark, Boundary{time, BoundarySource::kFirstFault, std::nullopt});
  }
  return mark;
}

bool BoundaryFinder::IsDependency(const MappingEvent& mapping) const {
  return mapping.file.inode != 0 && mapping.file != executable_ && mapping.file != loader_;
}

std::optional<Boundary> BoundaryFinder::DependenciesBegin() const {
  if (auto mark = FindMark(MarkKind::kDependenciesBegin, evidence_.exec_boottime_ns)) return mark;
  if (Awaits(MarkKind::kDependenciesBegin)) return std::nullopt;
  for (const auto& mapping : evidence_.mappings) {
    if (mapping.boottime_ns < evidence_.exec_boottime_ns || !IsDependency(mapping.value)) continue;
    return Boundary{mapping.boottime_ns, BoundarySource::kMapping, std::nullopt};
  }
  return std::nullopt;
}

std::optional<Boundary> BoundaryFinder::DependenciesMapped() const {
  if (auto mark = FindMark(MarkKind::kDependenciesMapped, evidence_.exec_boottime_ns)) return mark;
  if (Awaits(MarkKind::kDependenciesMapped)) return std::nullopt;
  const std::optional<Boundary> begin = DependenciesBegin();
  if (!begin) return std::nullopt;
  std::optional<Boundary> limit = FindMark(MarkKind::kRelocated, begin->boottime_ns);
  if (!limit) limit = Entry();
  const uint64_t limit_ns = limit ? limit->boottime_ns : UINT64_MAX;
  std::optional<Boundary> last;
  bool over = limit.has_value() || !goes_on_;
  bool writable = false;
  const MappingEvent* previous = nullptr;
  for (const auto& mapping : evidence_.mappings) {
    if (mapping.boottime_ns < begin->boottime_ns || mapping.boottime_ns > limit_ns) continue;
    if (!IsDependency(mapping.value)) continue;
    // The first RELRO protection shows that relocation is under way.
    if (last && IsProtection(mapping.value, writable) &&
        mapping.value.address == previous->address) {
      over = true;
      break;
    }
    if ((mapping.value.prot & PROT_WRITE) != 0) {
      writable = true;
      previous = &mapping.value;
    }
    last = Boundary{mapping.boottime_ns, BoundarySource::kMapping, std::nullopt};
  }
  if (!over) return std::nullopt;
  // Nothing to map (musl's loader is its libc): the phase is there and empty.
  if (!last) return Boundary{begin->boottime_ns, BoundarySource::kInferred, begin->counters};
  return last;
}

std::optional<Boundary> BoundaryFinder::Relocated() const {
  if (auto mark = FindMark(MarkKind::kRelocated, evidence_.exec_boottime_ns)) return mark;
  if (Awaits(MarkKind::kRelocated)) return std::nullopt;
  const std::optional<Boundary> entry = Entry();
  if (!entry && !goes_on_) return std::nullopt;
  const uint64_t limit_ns = entry ? entry->boottime_ns : UINT64_MAX;
  // The last RELRO protection before the entry point: of the loader itself in glibc.
  std::vector<std::pair<uint64_t, uint64_t>> writable;
  std::optional<Boundary> last;
  for (const auto& mapping : evidence_.mappings) {
    if (mapping.boottime_ns > limit_ns) break;
    const bool was_writable =
        std::any_of(writable.begin(), writable.end(), [&](const auto& range) {
          return mapping.value.address >= range.first && mapping.value.address < range.second;
        });
    if (mapping.boottime_ns >= evidence_.exec_boottime_ns && mapping.value.file.inode != 0 &&
        IsProtection(mapping.value, was_writable)) {
      // Any other may not be the last.
      if (!entry && mapping.value.file != loader_) continue;
      last = Boundary{mapping.boottime_ns, BoundarySource::kMapping, std::nullopt};
    } else if ((mapping.value.prot & PROT_WRITE) != 0 && mapping.value.file.inode != 0) {
      writable.emplace_back(mapping.value.address,
                            mapping.value.address + mapping.value.size_bytes);
    }
  }
  return last;
}

std::optional<Boundary> BoundaryFinder::SelfRelocated() const {
  if (auto mark = FindMark(MarkKind::kSelfRelocated, evidence_.exec_boottime_ns)) return mark;
  if (Awaits(MarkKind::kSelfRelocated)) return std::nullopt;
  for (const auto& mapping : evidence_.mappings) {
    if (mapping.boottime_ns < evidence_.exec_boottime_ns) continue;
    if (mapping.value.file != executable_) continue;
    if ((mapping.value.prot & PROT_WRITE) != 0) continue;
    return Boundary{mapping.boottime_ns, BoundarySource::kMapping, std::nullopt};
  }
  return std::nullopt;
}

std::optional<Boundary> BoundaryFinder::Entry() const {
  const std::optional<Boundary> mark = FindMark(MarkKind::kEntry, evidence_.exec_boottime_ns);
  std::optional<Boundary> relocated = FindMark(MarkKind::kRelocated, evidence_.exec_boottime_ns);
  const uint64_t not_before = relocated ? relocated->boottime_ns : evidence_.exec_boottime_ns;
  std::optional<Boundary> in_text;
  for (const auto& fault : evidence_.faults) {
    if (!fault.value.instruction_fetch || EntryTime(fault) < not_before) continue;
    if (fault.value.address == entry_address_) {
      return Earlier(mark, Boundary{EntryTime(fault), BoundarySource::kFirstFault, std::nullopt});
    }
    // Constructors and IFUNC resolvers of the executable run before its entry point, so this alone
    // is a guess.
    if (!in_text && fault.value.address / kPageBytes == entry_address_ / kPageBytes) {
      in_text = Boundary{EntryTime(fault), BoundarySource::kInferred, std::nullopt};
    }
  }
  if (mark || Awaits(MarkKind::kEntry)) return mark;
  return in_text;
}

uint64_t BoundaryFinder::RunTimeAddress(uint64_t link_time) const {
  return entry_address_ - images_.executable->facts->entry_address + link_time;
}

std::optional<Boundary> BoundaryFinder::InferMain() const {
  // A loader has no main; that of the program it was given is not known yet.
  if (images_.executable != nullptr && images_.executable->facts->kind == ImageKind::kLoader) {
    return std::nullopt;
  }
  const std::optional<Boundary> entry = Entry();
  if (!entry) return std::nullopt;
  const uint64_t main_address =
      images_.executable != nullptr ? images_.executable->facts->main_address : 0;
  if (main_address != 0) {
    const uint64_t at = RunTimeAddress(main_address);
    for (const auto& fault : evidence_.faults) {
      if (!fault.value.instruction_fetch || EntryTime(fault) <= entry->boottime_ns) continue;
      if (fault.value.address / kPageBytes != at / kPageBytes) continue;
      const auto source = fault.value.address == at ? BoundarySource::kFirstFault
                                                    : BoundarySource::kInferred;
      return Boundary{EntryTime(fault), source, std::nullopt};
    }
    const bool faults_apart =
        at / kFaultAroundBytes != entry_address_ / kFaultAroundBytes;
    if (faults_apart) return std::nullopt;  // it will fault when it is reached
  }
  // Of a program that glibc is linked into, hundreds of microseconds lie between the two: its whole
  // initialisation, CPUID included.
  const bool far_apart = evidence_.exec.at_base == 0 && images_.executable != nullptr &&
                         images_.executable->facts->libc == Libc::kGlibc;
  if (far_apart) return std::nullopt;
  return Boundary{entry->boottime_ns, BoundarySource::kInferred, std::nullopt};
}

}  // namespace startscope
