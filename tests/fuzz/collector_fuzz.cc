// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Any bytes as a collector's answer to a push of traces, over a connection as it has one: the
// result says what became of them in few harmless words, and never asks for a longer wait than is
// allowed. The first byte chooses the encoding, the rest is what is answered before the connection
// ends.

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/synchronization/mutex.h"
#include "client/export/otlp_transport.h"
#include "client/export/trace_sink.h"
#include "daemon/base/unique_fd.h"
#include "tests/fuzz/quiet_protobuf.h"
#include "tests/fuzz/text_rules.h"
#include "tests/fuzz/without_alarm.h"

namespace {

using namespace startscope;  // NOLINT: the transport

constexpr size_t kMaxMessageBytes = 4096;
constexpr absl::Duration kLongestWait = absl::Minutes(1);

// Answers each request with the same bytes, and ends the connection.
class Collector {
 public:
  Collector() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    Require(bind(listener_.get(), any, size) == 0 && listen(listener_.get(), 16) == 0 &&
            getsockname(listener_.get(), any, &size) == 0);
    port_ = ntohs(address.sin_port);
    const WithoutAlarm quiet;
    std::thread([this] { Serve(); }).detach();
  }

  [[nodiscard]] int port() const { return port_; }
  // To requests from now on.
  void SetAnswer(std::string answer) {
    absl::MutexLock lock(&mutex_);
    answer_ = std::move(answer);
  }

 private:
  [[noreturn]] void Serve() {
    while (true) {
      const UniqueFd connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!TakeRequest(connection.get())) continue;
      // A client that has had enough does not wait for the end of it.
      const std::string answer = Answer();
      (void)send(connection.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
      (void)shutdown(connection.get(), SHUT_WR);
      char buffer[4096];
      while (recv(connection.get(), buffer, sizeof(buffer), 0) > 0) {
      }
    }
  }

  std::string Answer() {
    absl::MutexLock lock(&mutex_);
    return answer_;
  }

  // All of it: what is not read when the connection ends takes the answer along.
  static bool TakeRequest(int connection) {
    std::string request;
    char buffer[4096];
    while (true) {
      const ssize_t count = recv(connection, buffer, sizeof(buffer), 0);
      if (count <= 0) return false;
      request.append(buffer, static_cast<size_t>(count));
      const size_t head = request.find("\r\n\r\n");
      if (head == std::string::npos) continue;
      const std::string lower = absl::AsciiStrToLower(request.substr(0, head));
      const std::string name = "\r\ncontent-length: ";
      const size_t at = lower.find(name);
      size_t length = 0;
      Require(at != std::string::npos);
      const size_t from = at + name.size();
      Require(absl::SimpleAtoi(lower.substr(from, lower.find('\r', from) - from), &length));
      if (request.size() >= head + 4 + length) return true;
    }
  }

  const UniqueFd listener_;
  int port_ = 0;
  absl::Mutex mutex_;
  std::string answer_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Collector& collector = *new Collector;
  if (size == 0) return 0;
  collector.SetAnswer(std::string(reinterpret_cast<const char*>(data + 1), size - 1));
  OtlpSettings settings;
  settings.endpoint.address = {"127.0.0.1", collector.port()};
  settings.endpoint.path = "/v1/traces";
  settings.encoding = (data[0] & 1) != 0 ? OtlpEncoding::kJson : OtlpEncoding::kProtobuf;
  settings.gzip = (data[0] & 2) != 0;
  const WithoutAlarm quiet;
  const PostResult result = MakeHttpTransport(settings, "1")->Post(FrameOf({}, "1", 0));
  Require(result.message.size() <= kMaxMessageBytes);
  RequireHarmlessLine(result.message);
  Require(result.rejected_spans >= 0);
  Require(result.kind == PostResult::Kind::kAccepted || !result.message.empty());
  const absl::Duration wait = result.retry_after.value_or(absl::ZeroDuration());
  Require(wait >= absl::ZeroDuration() && wait <= kLongestWait);
  return 0;
}
