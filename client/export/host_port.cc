// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/host_port.h"

#include <arpa/inet.h>

#include <cstdint>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace startscope {
namespace {

constexpr char kLoopback[] = "127.0.0.1";

}  // namespace

absl::StatusOr<HostPort> ParseHostPort(const std::string& text) {
  const auto wrong = [&text](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("address '", text, "': ", why, " (HOST:PORT, as in 127.0.0.1:9464)"));
  };
  HostPort result;
  std::string port = text;
  if (const size_t colon = text.rfind(':'); colon != std::string::npos) {
    result.host = text.substr(0, colon);
    port = text.substr(colon + 1);
    const bool bracketed =
        result.host.size() >= 2 && result.host.front() == '[' && result.host.back() == ']';
    if (bracketed) {
      result.host = result.host.substr(1, result.host.size() - 2);
    } else if (result.host.find(':') != std::string::npos) {
      return wrong("an IPv6 address needs brackets: [::1]:9464");
    }
  }
  if (result.host.empty()) result.host = kLoopback;
  if (!absl::SimpleAtoi(port, &result.port) || result.port < 0 || result.port > 65535) {
    return wrong("the port must be a number up to 65535");
  }
  return result;
}

std::string ToText(const HostPort& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return absl::StrCat(v6 ? "[" : "", address.host, v6 ? "]:" : ":", address.port);
}

bool IsLoopback(const std::string& host) {
  if (host == "localhost") return true;
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace startscope
