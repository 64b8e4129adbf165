// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/doctor/checks.h"
#include "client/render/units.h"
#include "client/render/text_status.h"

namespace startscope {
namespace {

constexpr char kSubject[] = "calibration";

std::string Costs(const startscope::v1::GetStatusResponse& status) {
  return absl::StrJoin(CostItems(status.calibration(), Glyphs::Ascii()), ", ");
}

}  // namespace

std::vector<Finding> CheckCalibration(const Examined& examined) {
  if (!examined.status.has_value()) return {};
  const auto& status = *examined.status;
  if (!examined.calibrate) {
    if (status.has_calibration()) return {};
    return {{Severity::kNote, kSubject, "the cost of a probe is not known",
             "startups do not say what watching them has cost", "startscope doctor --calibrate"}};
  }
  const std::string before =
      status.has_calibration() ? absl::StrCat("the costs are those known before: ", Costs(status))
                               : "startups do not say what watching them has cost";
  if (!examined.calibrate_error.ok()) {
    return {{Severity::kWarning, kSubject,
             absl::StrCat("not measured: ", examined.calibrate_error.message()), before}};
  }
  if (!status.has_calibration_took()) {
    return {{Severity::kWarning, kSubject, "not measured: this daemon cannot, unless it is started",
             before, "install a daemon of this client's version"}};
  }
  const auto& took = status.calibration_took();
  const uint64_t took_ns = static_cast<uint64_t>(took.seconds()) * 1'000'000'000 +
                           static_cast<uint64_t>(took.nanos());
  return {{Severity::kFine, kSubject,
           absl::StrCat("measured in ", FormatDuration(took_ns, Glyphs::Ascii()), ": ",
                        Costs(status))}};
}

}  // namespace startscope
