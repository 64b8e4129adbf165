// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_STUCK_LINE_H_
#define STARTSCOPE_CLIENT_RENDER_STUCK_LINE_H_

#include <string>

#include "client/render/terminal.h"
#include "startscope/v1/startup_service.pb.h"

namespace startscope {

// "nginx (pid 12) starting for 9.40 s: 9.38 s in constructors of libfoo.so (foo_init), blocked in
// futex_wait". No line break, and no wider than the terminal. A pure function.
[[nodiscard]] std::string StuckText(const startscope::v1::StartupStuck& stuck, int width,
                                    const TerminalStyle& terminal);

// The lines of one output about startups that go on for long. On a terminal, news of the startup
// that the last line is about replace that line. One thread.
class StuckLines {
 public:
  explicit StuckLines(const TerminalStyle& terminal) : terminal_(terminal) {}

  [[nodiscard]] std::string Next(const startscope::v1::StartupStuck& stuck);
  // Something else was written there: the last line is not ours any more.
  void Interrupt() { last_id_.clear(); }

 private:
  const TerminalStyle terminal_;
  std::string last_id_;
};

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_STUCK_LINE_H_
