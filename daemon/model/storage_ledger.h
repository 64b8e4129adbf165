// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_STORAGE_LEDGER_H_
#define STARTSCOPE_DAEMON_MODEL_STORAGE_LEDGER_H_

#include "daemon/model/evidence.h"
#include "daemon/model/startup.h"

namespace startscope {

// What a startup read from storage, by file, and how cold it therefore was. Sets `storage`,
// `temperature`, `temperature_evidence` and the objects' pages_read and io_wait_ns; the objects and the
// blame must be there. `pages_known`: pages brought into the page cache were recorded.
void AccountStorage(const Evidence& evidence, const End& end, bool pages_known, bool waits_known,
                    size_t max_files, Startup* startup);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_STORAGE_LEDGER_H_
