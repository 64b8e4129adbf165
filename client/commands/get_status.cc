// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/commands/get_status.h"

#include <chrono>

namespace startscope {
namespace {

// A private daemon first has to load its programs.
constexpr std::chrono::seconds kCallTimeout(30);

}  // namespace

std::variant<startscope::v1::GetStatusResponse, Failure> GetStatus(Connection& connection,
                                                                   bool calibrate) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
  startscope::v1::GetStatusRequest request;
  request.set_calibrate(calibrate);
  startscope::v1::GetStatusResponse response;
  const grpc::Status called = connection.stub().GetStatus(&context, request, &response);
  if (!called.ok()) return connection.Explain(called, false);
  return response;
}

}  // namespace startscope
