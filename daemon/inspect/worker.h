// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_INSPECT_WORKER_H_
#define STARTSCOPE_DAEMON_INSPECT_WORKER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "daemon/inspect/protocol.h"

namespace startscope {

// The inspector's side of the conversation. Answers one query about files of which only the bytes
// are there. Never fails: what cannot be read is said in the facts. One thread.
InspectAnswer AnswerQuery(const InspectQuery& query, std::span<ByteSource* const> files);

// Answers the queries that come over `socket` until the other side closes it, or says what cannot
// be understood. Runs inside the sandbox: calls nothing but recvmsg, sendmsg, pread64 and close.
void ServeQueries(int socket);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_INSPECT_WORKER_H_
