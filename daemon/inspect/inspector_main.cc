// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// startscope-inspector: reads what others wrote, for the daemon, with no rights at all. Started by
// startscoped with a socket as descriptor 3, while that still has all its privileges: this process
// only starts and ends children, which give theirs up before they read anything.

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "daemon/base/unique_fd.h"
#include "daemon/inspect/frame.h"
#include "daemon/inspect/launch_service.h"
#include "daemon/inspect/protocol.h"
#include "daemon/inspect/sandbox.h"
#include "daemon/inspect/spawn.h"
#include "daemon/inspect/worker.h"

namespace startscope {
namespace {

// A child of the launcher; descriptor 3 is its own by now.
int Inspect() {
  prctl(PR_SET_NAME, "inspector", 0, 0, 0);
  close_range(kInspectorSocket + 1, ~0u, 0);
  InspectorHello hello;
  const absl::StatusOr<std::string> sandbox = EnterSandbox(kInspectorSocket, {});
  if (sandbox.ok()) {
    hello.sandbox = *sandbox;
  } else {
    hello.error = std::string(sandbox.status().message());
  }
  if (SendFrame(kInspectorSocket, EncodeHello(hello), {}, std::nullopt).ok() && sandbox.ok()) {
    ServeQueries(kInspectorSocket);
  }
  return sandbox.ok() ? 0 : 1;
}

}  // namespace
}  // namespace startscope

int main() {
  using namespace startscope;
  int type = 0;
  socklen_t size = sizeof(type);
  if (getsockopt(kInspectorSocket, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM) {
    std::fprintf(stderr,
                 "startscope-inspector: reads executables for startscoped, which starts it; it is "
                 "not for use by hand\n");
    return 2;
  }
  // Executed through a descriptor, it would be called by that one's number.
  prctl(PR_SET_NAME, "inspector-start", 0, 0, 0);
  {
    const UniqueFd nothing(open("/dev/null", O_RDWR | O_CLOEXEC));
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) dup2(nothing.get(), fd);
  }
  close_range(kInspectorSocket + 1, ~0u, 0);
  ServeLaunches(kInspectorSocket, Inspect);
  _exit(0);
}
