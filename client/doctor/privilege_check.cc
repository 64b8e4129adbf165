// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/doctor/checks.h"

namespace startscope {
namespace {

constexpr char kHeld[] = ": ";
constexpr char kMissing[] = " is missing: ";

// What the daemon says of one capability ("CAP_X: why", "CAP_X is missing: why"), or of what it
// could not carry out.
Finding OfReason(const std::string& reason) {
  const size_t end = reason.find_first_of(": ");
  if (!absl::StartsWith(reason, "CAP_") || end == std::string::npos) {
    return {Severity::kNote, "privileges", reason};
  }
  const std::string name = reason.substr(0, end);
  absl::string_view rest = absl::string_view(reason).substr(end);
  if (absl::ConsumePrefix(&rest, kMissing)) {
    return {Severity::kWarning, absl::StrCat("privilege ", name), "is missing",
            absl::StrCat("it is what ", rest),
            absl::StrCat("start the daemon as root, or add ", name,
                         " to the capabilities of its unit")};
  }
  absl::ConsumePrefix(&rest, kHeld);
  return {Severity::kFine, absl::StrCat("privilege ", name), std::string(rest)};
}

}  // namespace

std::vector<Finding> CheckPrivileges(const Examined& examined) {
  if (!examined.status.has_value() || !examined.status->has_privileges()) return {};
  const auto& privileges = examined.status->privileges();
  Finding who{Severity::kFine, "privileges",
              absl::StrCat("runs as user ", privileges.uid(), ", group ", privileges.gid(), ", ",
                           privileges.capabilities().empty()
                               ? "with no capability"
                               : absl::StrCat("with the capabilities below and no other"),
                           privileges.no_new_privileges() ? "; it can gain none" : "",
                           "; system calls it has no use for meet: ", privileges.seccomp())};
  if (privileges.uid() == 0 && !examined.private_daemon) {
    who.severity = Severity::kNote;
    who.consequence = "files of root stay open to whoever takes it over";
    who.remedy = "run it as its own user: --user startscope, or its systemd unit";
  }
  std::vector<Finding> findings = {who};
  for (const std::string& reason : privileges.reasons()) findings.push_back(OfReason(reason));
  for (const std::string& name : privileges.capabilities()) {
    bool explained = false;
    for (const std::string& reason : privileges.reasons()) {
      explained |= absl::StartsWith(reason, absl::StrCat(name, kHeld));
    }
    if (explained) continue;
    findings.push_back({Severity::kNote, absl::StrCat("privilege ", name),
                        "is held, and the daemon does not say what for"});
  }
  if (!privileges.no_new_privileges()) {
    findings.push_back({Severity::kWarning, "privileges", "no_new_privs is not set",
                        "a file with privileges that it were made to execute would have them", ""});
  }
  if (privileges.seccomp() == "off") {
    findings.push_back({Severity::kWarning, "privileges", "its system calls are not filtered",
                        "whoever takes it over may ask the kernel for anything its user may",
                        "start it without --seccomp off"});
  }
  return findings;
}

}  // namespace startscope
