// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_ENUM_LABEL_H_
#define STARTSCOPE_CLIENT_EXPORT_ENUM_LABEL_H_

#include <string>

#include "absl/strings/string_view.h"

namespace startscope {

// "kernel_exec" of "PHASE_KERNEL_EXEC" and "PHASE_". A value that this program does not know has no
// name: all of those are "other", so that a newer daemon cannot make more labels than there are
// names.
[[nodiscard]] std::string EnumLabel(absl::string_view name, absl::string_view prefix);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_ENUM_LABEL_H_
