// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// How a client keeps a watch over more than one stream: shared by `watch` and the exporters.

#ifndef STARTSCOPE_CLIENT_WATCH_RESUMPTION_H_
#define STARTSCOPE_CLIENT_WATCH_RESUMPTION_H_

#include <string>

#include "absl/random/random.h"
#include "absl/time/time.h"
#include "startscope/v1/startup_service.grpc.pb.h"

namespace startscope {

// How long the daemon is to follow for a watch whose stream was cut.
inline constexpr int kKeepArmedSeconds = 10;

// A stream that ended so may be opened again.
bool MayComeBack(const grpc::Status& status);

// Tells the daemon that it need not follow any longer for this watch. Waits a second at most; a daemon
// without this call holds nothing.
void EndWatch(startscope::v1::StartupService::Stub& stub, const std::string& resume_token);

// The waits between attempts to come back: each twice as long as the one before, up to a bound.
class ComeBackWait {
 public:
  absl::Duration Next();
  // The same, shortened by chance, so that many clients of one daemon do not come back at once.
  absl::Duration NextSpread() { return Next() * absl::Uniform(random_, 0.5, 1.0); }
  // The stream is there again.
  void Reset();

 private:
  static constexpr absl::Duration kFirst = absl::Milliseconds(100);
  absl::Duration wait_ = kFirst;
  absl::BitGen random_;
};

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_WATCH_RESUMPTION_H_
