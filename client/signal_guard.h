// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_SIGNAL_GUARD_H_
#define STARTSCOPE_CLIENT_SIGNAL_GUARD_H_

#include <signal.h>

#include <array>
#include <cstdint>
#include <optional>

#include "daemon/base/unique_fd.h"

namespace startscope {

// How signals were when the client started: what a traced command must find again.
struct InitialSignals {
  sigset_t mask;
  // True at the signal's number: it was ignored.
  std::array<bool, 65> ignored;

  static InitialSignals Capture();
};

struct ReceivedSignal {
  int number = 0;
  // Typed at the terminal: the whole foreground group got it, a traced command included.
  bool from_terminal = false;
};

// Turns SIGINT, SIGQUIT, SIGTERM and SIGHUP into a pollable descriptor while it lives. Create it in
// the main thread before any other thread exists, so that all of them inherit the mask.
class SignalGuard {
 public:
  SignalGuard();
  ~SignalGuard();
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;

  // Readable while a signal is pending.
  [[nodiscard]] int fd() const { return fd_.get(); }
  std::optional<ReceivedSignal> Take();
  // As it was before this guard.
  [[nodiscard]] const InitialSignals& initial() const { return initial_; }

 private:
  InitialSignals initial_;
  UniqueFd fd_;
};

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_SIGNAL_GUARD_H_
