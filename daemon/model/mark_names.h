// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_MARK_NAMES_H_
#define STARTSCOPE_DAEMON_MODEL_MARK_NAMES_H_

#include "daemon/elf/image_facts.h"
#include "daemon/model/startup.h"

namespace startscope {

// What a mark is called where it is shown: the function, or the moment, that it stands for.
const char* MarkName(MarkKind kind);

// What a boundary says that was observed at a site of this rung.
BoundarySource SourceOfRung(SiteRung rung);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_MARK_NAMES_H_
