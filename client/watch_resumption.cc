// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/watch_resumption.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"

namespace startscope {
namespace {

constexpr absl::Duration kLongestWait = absl::Seconds(5);
constexpr absl::Duration kEndPatience = absl::Seconds(1);

}  // namespace

bool MayComeBack(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return true;
    default:
      return false;
  }
}

void EndWatch(startscope::v1::StartupService::Stub& stub, const std::string& resume_token) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kEndPatience));
  startscope::v1::EndWatchRequest request;
  startscope::v1::EndWatchResponse response;
  request.set_resume_token(resume_token);
  (void)stub.EndWatch(&context, request, &response);
}

absl::Duration ComeBackWait::Next() {
  return std::exchange(wait_, std::min(2 * wait_, kLongestWait));
}

void ComeBackWait::Reset() { wait_ = kFirst; }

}  // namespace startscope
