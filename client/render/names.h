// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_NAMES_H_
#define STARTSCOPE_CLIENT_RENDER_NAMES_H_

#include <cstdint>
#include <string>

#include "client/render/terminal.h"
#include "startscope/v1/startup.pb.h"
#include "startscope/v1/startup_service.pb.h"

namespace startscope {

// Words for what the API says in enums. A value this client does not know yet becomes its number.
[[nodiscard]] std::string PhaseName(startscope::v1::Phase phase);
[[nodiscard]] std::string SourceName(startscope::v1::BoundarySource source);
[[nodiscard]] std::string MilestoneName(startscope::v1::MilestoneKind kind);
[[nodiscard]] std::string LossStageName(startscope::v1::LossStage stage);
[[nodiscard]] std::string ProbeStateName(startscope::v1::ProbeState state);
[[nodiscard]] std::string ReasonName(startscope::v1::TimeReason reason);
[[nodiscard]] std::string TemperatureName(startscope::v1::StartTemperature temperature);
[[nodiscard]] std::string OperationName(startscope::v1::MappingOperation operation);
[[nodiscard]] std::string WaitName(startscope::v1::WaitReason reason);
// Why an object was loaded, for a note beside it; empty where that needs no saying.
[[nodiscard]] std::string LoadReasonNote(startscope::v1::LoadReason reason);
[[nodiscard]] std::string InitKindName(startscope::v1::InitKind kind);
[[nodiscard]] std::string RelroName(startscope::v1::RelroKind kind);
[[nodiscard]] std::string ActivityName(startscope::v1::StuckActivity activity);
// "glibc 2.36, dynamic, C/C++"; parts that are not known are left out.
[[nodiscard]] std::string RuntimeName(const startscope::v1::Runtime& runtime, bool utf8);
// "SIGSEGV" or "signal 64".
[[nodiscard]] std::string SignalName(int number);
// One word for a column: "main", "exited 1", "SIGKILL", "replaced".
[[nodiscard]] std::string OutcomeWord(const startscope::v1::Startup& startup);
// "reached main in 1.75 ms", "killed by SIGSEGV after 2.31 ms, before its end condition".
[[nodiscard]] std::string OutcomePhrase(const startscope::v1::Startup& startup,
                                        const Glyphs& glyphs);
// What the degradation is, and what a user can do about it; advice may be empty.
struct DegradationText {
  std::string what;
  std::string advice;
};
[[nodiscard]] DegradationText DescribeDegradation(startscope::v1::DegradationKind kind);
// "4+0": minor and major faults; the glyph for "not measured" where one is absent.
[[nodiscard]] std::string FaultPair(bool has_minor, uint64_t minor, bool has_major, uint64_t major,
                                    const Glyphs& glyphs);
// The name a startup goes by: its executable's file name, or its comm; sanitised.
[[nodiscard]] std::string ShortName(const startscope::v1::Process& process, bool utf8);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_NAMES_H_
