// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// What a process does at this moment, as /proc tells. Reads files that the kernel makes and waits a
// little, so it is for threads that serve one client, not for the core thread.

#ifndef STARTSCOPE_DAEMON_SERVE_PROCESS_NOW_H_
#define STARTSCOPE_DAEMON_SERVE_PROCESS_NOW_H_

#include "daemon/model/startup.h"
#include "daemon/serve/watch_controller.h"

namespace startscope {

// Fills in what the main thread of the process does: activity, wait channel, system call and file.
// All of it stays empty when the process is gone, whoever has its pid now. A caller without
// privilege learns no more than /proc would tell it. `may_wait`: for up to 20 ms, to tell a thread
// that runs from one that waits for a CPU; otherwise the activity of such a one stays open.
void DescribeProcessNow(const PeerIdentity& caller, bool may_wait, StuckStartup* stuck);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_PROCESS_NOW_H_
