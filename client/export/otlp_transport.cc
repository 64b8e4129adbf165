// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/otlp_transport.h"

#include <httplib.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/export/gzip.h"
#include "client/export/otlp_json.h"
#include "client/render/text_sanitizer.h"
#include "google/protobuf/util/json_util.h"

namespace startscope {
namespace {

constexpr absl::Duration kLongestRetryAfter = absl::Minutes(1);
constexpr size_t kMaxAnswerBytes = 64 * 1024;
constexpr size_t kMaxQuotedBytes = 200;

class HttpTransport : public OtlpTransport {
 public:
  HttpTransport(const OtlpSettings& settings, const std::string& version)
      : settings_(settings),
        client_(absl::StrCat(settings.endpoint.tls ? "https://" : "http://",
                             ToText(settings.endpoint.address))) {
    const auto seconds = absl::ToInt64Seconds(settings.timeout);
    const auto microseconds = absl::ToInt64Microseconds(settings.timeout - absl::Seconds(seconds));
    client_.set_connection_timeout(seconds, microseconds);
    client_.set_read_timeout(seconds, microseconds);
    client_.set_write_timeout(seconds, microseconds);
    client_.set_keep_alive(true);
    for (const auto& [name, value] : settings.headers) headers_.emplace(name, value);
    headers_.emplace("User-Agent", absl::StrCat("OTel-OTLP-Exporter-startscope/", version));
  }

  PostResult Post(const otlp::Traces& traces) override {
    PostResult result;
    std::string body;
    const bool json = settings_.encoding == OtlpEncoding::kJson;
    if (json) {
      absl::StatusOr<std::string> text = ToOtlpJson(traces);
      if (!text.ok()) {
        result.message = std::string(text.status().message());
        return result;
      }
      body = *std::move(text);
    } else {
      body = traces.SerializeAsString();
    }
    const std::string packed = settings_.gzip ? Gzip(body) : "";
    if (!packed.empty()) body = packed;
    result.body_bytes = body.size();
    // What answers need not be a collector: not all that it says is taken.
    std::string answer;
    httplib::Request request;
    request.method = "POST";
    request.path = settings_.endpoint.path;
    request.headers = headers_;
    request.set_header("Content-Type", json ? "application/json" : "application/x-protobuf");
    if (!packed.empty()) request.set_header("Content-Encoding", "gzip");
    request.body = std::move(body);
    request.content_receiver = [&answer](const char* data, size_t size, uint64_t, uint64_t) {
      if (answer.size() + size > kMaxAnswerBytes) return false;
      answer.append(data, size);
      return true;
    };
    const httplib::Result sent = client_.send(request);
    if (!sent) {
      result.kind = PostResult::Kind::kTryAgain;
      result.message =
          absl::StrCat(ToText(settings_.endpoint), ": ", httplib::to_string(sent.error()));
      return result;
    }
    Judge(*sent, answer, json, result);
    return result;
  }

 private:
  void Judge(const httplib::Response& response, const std::string& answer, bool json,
             PostResult& result) const {
    const int status = response.status;
    if (status >= 200 && status < 300) {
      result.kind = PostResult::Kind::kAccepted;
      otlp::TracesResponse parsed;
      const bool readable = json ? google::protobuf::util::JsonStringToMessage(answer, &parsed).ok()
                                 : parsed.ParseFromString(answer);
      if (!readable) return;
      result.rejected_spans = std::max<int64_t>(parsed.partial_success().rejected_spans(), 0);
      result.message = Quoted(parsed.partial_success().error_message());
      return;
    }
    const bool busy = status == 429 || status == 502 || status == 503 || status == 504;
    result.kind = busy ? PostResult::Kind::kTryAgain : PostResult::Kind::kRefused;
    result.message = absl::StrCat(ToText(settings_.endpoint), ": HTTP ", status, " ",
                                  Quoted(json ? answer : ""));
    uint32_t seconds = 0;
    if (busy && absl::SimpleAtoi(response.get_header_value("Retry-After"), &seconds)) {
      result.retry_after = std::min(absl::Seconds(seconds), kLongestRetryAfter);
    }
  }

  static std::string Quoted(const std::string& text) {
    return SanitizeText(text.substr(0, kMaxQuotedBytes), true);
  }

  const OtlpSettings settings_;
  httplib::Client client_;
  httplib::Headers headers_;
};

}  // namespace

std::unique_ptr<OtlpTransport> MakeHttpTransport(const OtlpSettings& settings,
                                                 const std::string& version) {
  return std::make_unique<HttpTransport>(settings, version);
}

}  // namespace startscope
