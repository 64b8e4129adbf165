// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_HOST_PORT_H_
#define STARTSCOPE_CLIENT_EXPORT_HOST_PORT_H_

#include <string>

#include "absl/status/statusor.h"

namespace startscope {

struct HostPort {
  std::string host;  // an IPv6 address without its brackets
  int port = 0;
};

// "HOST:PORT", "[V6]:PORT", ":PORT" (loopback), "PORT" (loopback).
[[nodiscard]] absl::StatusOr<HostPort> ParseHostPort(const std::string& text);

// "[V6]:PORT" or "HOST:PORT".
[[nodiscard]] std::string ToText(const HostPort& address);

// By name and form alone: "localhost", 127.0.0.0/8, ::1.
[[nodiscard]] bool IsLoopback(const std::string& host);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_HOST_PORT_H_
