// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/doctor/checks.h"

namespace startscope {

std::vector<Finding> CheckSocket(const Examined& examined) {
  const LocalFacts& local = examined.local;
  Finding finding{Severity::kFine, local.socket_path, ""};
  if (local.socket_error != 0) {
    const bool harmless = examined.private_daemon;
    finding.severity = harmless ? Severity::kNote : Severity::kWarning;
    finding.what = strerror(local.socket_error);
    finding.consequence = harmless
                              ? "no daemon runs here: each command starts a private one, which "
                                "knows nothing of the past"
                              : "no daemon can be asked there";
    finding.remedy =
        local.socket_error == EACCES
            ? "its directory is closed to you: join its group, or run as root"
            : "systemctl start startscoped, or startscoped --listen unix://PATH as root";
    return {finding};
  }
  if (!local.is_socket) {
    finding.severity = Severity::kWarning;
    finding.what = "is not a socket";
    finding.remedy = "give the daemon's --listen and the client's --address the same path";
    return {finding};
  }
  finding.what = absl::StrFormat("a socket of mode %04o, group %s", local.socket_mode & 07777u,
                                 local.socket_group);
  if (!local.may_connect) {
    finding.severity = Severity::kWarning;
    finding.consequence = "you may not connect to it";
    finding.remedy =
        absl::StrCat("join the group ", local.socket_group, " and log in again, or run as root");
  } else if ((local.socket_mode & 2u) != 0) {
    finding.severity = Severity::kNote;
    finding.consequence = "every user may watch their own programs start";
  }
  return {finding};
}

}  // namespace startscope
