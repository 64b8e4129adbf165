// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_BOUNDARY_FINDER_H_
#define STARTSCOPE_DAEMON_MODEL_BOUNDARY_FINDER_H_

#include <cstdint>
#include <optional>
#include <string>

#include "daemon/model/evidence.h"
#include "daemon/model/phase_policy.h"

namespace startscope {

struct Boundary {
  uint64_t boottime_ns = 0;
  BoundarySource source = BoundarySource::kUnspecified;
  // The kernel's accounting at that very moment, where the observation brought it.
  std::optional<Counters> counters;
};

// Finds when a moment of the policy happened, from the best evidence there is. Looks only; owns
// nothing; the evidence must outlive it.
class BoundaryFinder {
 public:
  // `goes_on`: the startup is not over. What was not seen may then be to come, so it is inferred from
  // what follows it only, and not at all where a mark will show it.
  BoundaryFinder(const Evidence& evidence, const StartupImages& images, bool ignore_marks,
                 bool goes_on = false);

  [[nodiscard]] std::optional<Boundary> Find(Moment moment) const;

  // The first uprobe hit of a kind at or after a time.
  [[nodiscard]] std::optional<Boundary> FindMark(MarkKind kind, uint64_t not_before_ns) const;

  // The file of the program interpreter; inode 0 when there is none or it was not seen.
  [[nodiscard]] const FileId& loader_file() const { return loader_; }
  [[nodiscard]] const std::string& loader_path() const {
    static const std::string kNone;
    return loader_path_ == nullptr ? kNone : *loader_path_;
  }
  // The file whose mapping holds the program headers. On stacked file systems its numbers are not those
  // of the executable that exec names.
  [[nodiscard]] const FileId& executable_file() const { return executable_; }

  // main, when no mark shows it: the first instruction fetch in its page, where that lies apart from
  // the entry point's; otherwise the entry point itself, where little happens in between. nullopt: no
  // evidence (yet).
  [[nodiscard]] std::optional<Boundary> InferMain() const;

  // How the place of a mark was found.
  [[nodiscard]] BoundarySource SourceOfMark(const MarkEvent& mark) const;

 private:
  [[nodiscard]] std::optional<Boundary> FirstInstruction() const;
  [[nodiscard]] std::optional<Boundary> DependenciesBegin() const;
  [[nodiscard]] std::optional<Boundary> DependenciesMapped() const;
  [[nodiscard]] std::optional<Boundary> Relocated() const;
  [[nodiscard]] std::optional<Boundary> SelfRelocated() const;
  [[nodiscard]] std::optional<Boundary> Entry() const;
  // A mark that is in place will show it.
  [[nodiscard]] bool Awaits(MarkKind kind) const;
  [[nodiscard]] bool IsDependency(const MappingEvent& mapping) const;
  // The run-time address of a link-time address of the executable.
  [[nodiscard]] uint64_t RunTimeAddress(uint64_t link_time) const;

  const Evidence& evidence_;
  const StartupImages images_;
  const bool ignore_marks_;
  const bool goes_on_;
  uint64_t entry_address_ = 0;
  FileId executable_;
  FileId loader_;
  const std::string* loader_path_ = nullptr;  // in the evidence; nullptr: none
};

// A protection change of a writable mapping to read-only, as RELRO is made, rather than a new mapping.
// `writable` tells whether the range was writable before.
bool IsProtection(const MappingEvent& mapping, bool was_writable);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_BOUNDARY_FINDER_H_
