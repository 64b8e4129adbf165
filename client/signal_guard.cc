// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/signal_guard.h"

#include <sys/signalfd.h>

namespace startscope {

InitialSignals InitialSignals::Capture() {
  InitialSignals state{};
  pthread_sigmask(SIG_SETMASK, nullptr, &state.mask);
  for (int number = 1; number < NSIG && number < static_cast<int>(state.ignored.size()); ++number) {
    struct sigaction action {};
    state.ignored[number] =
        sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
  }
  return state;
}

SignalGuard::SignalGuard() : initial_(InitialSignals::Capture()) {
  sigset_t watched;
  sigemptyset(&watched);
  for (const int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP}) {
    // What was ignored (nohup, background jobs) stays so.
    if (!initial_.ignored[number]) sigaddset(&watched, number);
  }
  pthread_sigmask(SIG_BLOCK, &watched, nullptr);
  fd_.Reset(signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
}

SignalGuard::~SignalGuard() {
  while (Take().has_value()) {
  }
  pthread_sigmask(SIG_SETMASK, &initial_.mask, nullptr);
}

std::optional<ReceivedSignal> SignalGuard::Take() {
  signalfd_siginfo info{};
  if (read(fd_.get(), &info, sizeof(info)) != static_cast<ssize_t>(sizeof(info))) {
    return std::nullopt;
  }
  return ReceivedSignal{.number = static_cast<int>(info.ssi_signo),
                        .from_terminal = info.ssi_code == SI_KERNEL};
}

}  // namespace startscope
