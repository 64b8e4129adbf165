// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Any bytes to the server of the metrics, over a connection as a scraper has it: the answer, if
// there is one, is a single one of HTTP/1.1 with the length that it says; the metrics and the state
// are for those who ask for them and nothing else is served; and whatever came, the next scrape is
// answered. A byte before the input tells how it is cut into two sends.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "client/export/metrics_server.h"
#include "daemon/base/unique_fd.h"
#include "tests/fuzz/require.h"
#include "tests/fuzz/without_alarm.h"

namespace {

using namespace startscope;  // NOLINT: the server

constexpr size_t kMaxAnswerBytes = 4096;
constexpr uint64_t kCheckEvery = 64;

class Served {
 public:
  Served() {
    // The server's threads begin as this one is.
    const WithoutAlarm quiet;
    prometheus::BuildGauge()
        .Name("fuzzed")
        .Help("It is served.")
        .Register(registry_)
        .Add({})
        .Set(1);
    auto server = MetricsServer::Start({"127.0.0.1", 0}, {&registry_});
    Require(server.ok());
    server_ = *std::move(server);
    server_->SetTrouble("");
  }

  // All that is answered to `request`, which is sent in two parts.
  std::string Ask(absl::string_view request, size_t first) {
    const WithoutAlarm quiet;
    const UniqueFd connection(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server_->address().port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    Require(connect(connection.get(), reinterpret_cast<const sockaddr*>(&address),
                    sizeof(address)) == 0);
    // No port is kept for what may still be on its way.
    const linger none{1, 0};
    Require(setsockopt(connection.get(), SOL_SOCKET, SO_LINGER, &none, sizeof(none)) == 0);
    // The server gives up on a client after two seconds.
    const timeval patience{8, 0};
    Require(setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ==
            0);
    for (const absl::string_view part : {request.substr(0, first), request.substr(first)}) {
      // It may have had enough already.
      if (!part.empty()) (void)send(connection.get(), part.data(), part.size(), MSG_NOSIGNAL);
    }
    (void)shutdown(connection.get(), SHUT_WR);
    std::string answer;
    char buffer[4096];
    while (true) {
      const ssize_t count = recv(connection.get(), buffer, sizeof(buffer), 0);
      Require(count >= 0 || errno == ECONNRESET);
      // It did not read all that was sent: what it said of it may be lost.
      if (count < 0) return "";
      if (count == 0) return answer;
      answer.append(buffer, static_cast<size_t>(count));
      Require(answer.size() <= kMaxAnswerBytes);
    }
  }

 private:
  prometheus::Registry registry_;
  std::unique_ptr<MetricsServer> server_;
};

bool IsHeaderText(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

void CheckAnswer(absl::string_view request, const std::string& answer) {
  if (answer.empty()) return;
  const size_t head_end = answer.find("\r\n\r\n");
  Require(head_end != std::string::npos);
  const std::vector<std::string> lines = absl::StrSplit(answer.substr(0, head_end), "\r\n");
  const std::string body = answer.substr(head_end + 4);
  for (const std::string& line : lines) Require(IsHeaderText(line));
  Require(lines[0].size() > 12 && absl::StartsWith(lines[0], "HTTP/1.1 "));
  uint32_t status = 0;
  Require(absl::SimpleAtoi(lines[0].substr(9, 3), &status) && lines[0][12] == ' ');
  Require(status == 200 || status >= 400);
  bool closes = false;
  size_t length = std::string::npos;
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::string name = absl::AsciiStrToLower(lines[i].substr(0, lines[i].find(':')));
    Require(name.size() < lines[i].size());
    const std::string value(absl::StripAsciiWhitespace(lines[i].substr(name.size() + 1)));
    if (name == "content-length") {
      Require(length == std::string::npos && absl::SimpleAtoi(value, &length));
    }
    if (name == "connection") closes = value == "close";
    // A page of somewhere else has no business here.
    Require(!absl::StartsWith(name, "access-control-"));
  }
  Require(closes);
  Require(length == body.size());
  // White space may come before a request, and any letter of its path as a number.
  if (status == 200) {
    Require(absl::StartsWith(absl::StripLeadingAsciiWhitespace(request), "GET "));
    Require(absl::StrContains(request, "/metrics") || absl::StrContains(request, "/healthz") ||
            absl::StrContains(request, '%'));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Served served;
  static uint64_t executions = 0;
  if (size == 0) return 0;
  const absl::string_view request(reinterpret_cast<const char*>(data + 1), size - 1);
  CheckAnswer(request, served.Ask(request, std::min<size_t>(data[0], request.size())));
  if (++executions % kCheckEvery == 0) {
    const std::string scrape = served.Ask("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 4);
    Require(absl::StartsWith(scrape, "HTTP/1.1 200 OK\r\n"));
    Require(absl::EndsWith(scrape, "\nfuzzed 1\n"));
  }
  return 0;
}
