// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_LOAD_COST_TEXT_H_
#define STARTSCOPE_CLIENT_RENDER_LOAD_COST_TEXT_H_

#include <optional>
#include <string>
#include <vector>

#include "client/render/load_graph.h"
#include "client/render/terminal.h"
#include "startscope/v1/startup.pb.h"

namespace startscope {

// Stands before a time whose ends were not observed by marks.
inline constexpr char kIndirect[] = "~";

// Whether an object's relocation, or constructors, were told from their traces.
[[nodiscard]] bool IsIndirect(startscope::v1::BoundarySource source);

// A time, marked when `indirect`; the sign for "not measured" without one.
[[nodiscard]] std::string CostText(const std::optional<uint64_t>& time_ns, bool indirect,
                                   const TerminalStyle& terminal);

// "318 µs", "map 40.0 µs", "relocate 250 µs", "init 28.0 µs"; parts that an object has not are left
// out.
[[nodiscard]] std::vector<std::string> CostItems(const LoadCost& cost,
                                                 const TerminalStyle& terminal);

// What kIndirect means, for the objects given; empty when none has such a time.
[[nodiscard]] std::string RenderIndirectLegend(
    const google::protobuf::RepeatedPtrField<startscope::v1::MappedObject>& objects,
    const TerminalStyle& terminal);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_LOAD_COST_TEXT_H_
