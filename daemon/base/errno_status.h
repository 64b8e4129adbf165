// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_BASE_ERRNO_STATUS_H_
#define STARTSCOPE_DAEMON_BASE_ERRNO_STATUS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace startscope {

// "OBJECT: <text of error_number> (REMEDY)" with the status code that fits the errno. `remedy` may
// be empty.
absl::Status ErrnoStatus(int error_number, absl::string_view object, absl::string_view remedy = {});

}  // namespace startscope

#define SS_CONCAT_INNER(a, b) a##b
#define SS_CONCAT(a, b) SS_CONCAT_INNER(a, b)

// Returns from the enclosing function when `expression`, an absl::Status, is not OK.
#define SS_RETURN_IF_ERROR(expression)                        \
  do {                                                        \
    if (absl::Status ss_status = (expression); !ss_status.ok()) return ss_status; \
  } while (false)

// Assigns the value of `expression`, an absl::StatusOr, to `target`, or returns its status.
#define SS_ASSIGN_OR_RETURN(target, expression) \
  SS_ASSIGN_OR_RETURN_INNER(SS_CONCAT(ss_status_or_, __LINE__), target, expression)
#define SS_ASSIGN_OR_RETURN_INNER(temporary, target, expression) \
  auto temporary = (expression);                                 \
  if (!temporary.ok()) return temporary.status();                \
  target = *std::move(temporary)

#endif  // STARTSCOPE_DAEMON_BASE_ERRNO_STATUS_H_
