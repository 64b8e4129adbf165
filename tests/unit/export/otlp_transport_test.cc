// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/otlp_transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <thread>

#include "client/export/otlp_json.h"
#include "client/export/trace_sink.h"

namespace startscope {
namespace {

using ::testing::HasSubstr;

// A collector of HTTP on loopback.
class OtlpTransportTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_.Post("/v1/traces",
                 [this](const httplib::Request& request, httplib::Response& response) {
                   requests_.push_back(request);
                   response.status = status_;
                   if (!retry_after_.empty()) response.set_header("Retry-After", retry_after_);
                   response.set_content(answer_, "application/x-protobuf");
                 });
    settings_.endpoint = {
        false, {"127.0.0.1", server_.bind_to_any_port("127.0.0.1")}, "/v1/traces"};
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    AddSpan();
  }
  void TearDown() override {
    while (!server_.is_running()) std::this_thread::yield();
    server_.stop();
    thread_.join();
  }
  void AddSpan() {
    traces_.mutable_resource_spans(0)->mutable_scope_spans(0)->add_spans()->set_name("startup");
  }
  PostResult Post() { return MakeHttpTransport(settings_, "1.2.3")->Post(traces_); }

  httplib::Server server_;
  std::thread thread_;
  OtlpSettings settings_;
  otlp::Traces traces_ = FrameOf({}, "1.2.3", 0);
  std::vector<httplib::Request> requests_;
  int status_ = 200;
  std::string answer_;
  std::string retry_after_;
};

TEST_F(OtlpTransportTest, SendsProtobufInGzip) {
  const PostResult result = Post();
  EXPECT_EQ(result.kind, PostResult::Kind::kAccepted);
  ASSERT_EQ(requests_.size(), 1u);
  EXPECT_EQ(requests_[0].get_header_value("Content-Type"), "application/x-protobuf");
  EXPECT_EQ(requests_[0].get_header_value("Content-Encoding"), "gzip");
  // The server has unpacked it.
  EXPECT_EQ(requests_[0].body, traces_.SerializeAsString());
}

TEST_F(OtlpTransportTest, SendsJsonAndHeadersWhenAskedTo) {
  settings_.encoding = OtlpEncoding::kJson;
  settings_.gzip = false;
  settings_.headers = {{"Authorization", "Bearer abc"}};
  EXPECT_EQ(Post().kind, PostResult::Kind::kAccepted);
  EXPECT_EQ(requests_.at(0).get_header_value("Content-Type"), "application/json");
  EXPECT_EQ(requests_[0].get_header_value("Authorization"), "Bearer abc");
  EXPECT_EQ(requests_[0].body, *ToOtlpJson(traces_));
}

TEST_F(OtlpTransportTest, ReadsWhatTheCollectorLeftOut) {
  otlp::TracesResponse response;
  response.mutable_partial_success()->set_rejected_spans(2);
  response.mutable_partial_success()->set_error_message("too old\x1b[31m");
  answer_ = response.SerializeAsString();
  const PostResult result = Post();
  EXPECT_EQ(result.kind, PostResult::Kind::kAccepted);
  EXPECT_EQ(result.rejected_spans, 2);
  EXPECT_EQ(result.message, "too old\\x1b[31m");
}

TEST_F(OtlpTransportTest, ABusyCollectorMayBeAskedAgainAfterItsTime) {
  status_ = 503;
  retry_after_ = "7";
  const PostResult result = Post();
  EXPECT_EQ(result.kind, PostResult::Kind::kTryAgain);
  EXPECT_EQ(result.retry_after, absl::Seconds(7));
  retry_after_ = "99999999";
  EXPECT_EQ(Post().retry_after, absl::Minutes(1));
}

TEST_F(OtlpTransportTest, ABadRequestIsRefusedForGood) {
  status_ = 400;
  const PostResult result = Post();
  EXPECT_EQ(result.kind, PostResult::Kind::kRefused);
  EXPECT_THAT(result.message, HasSubstr("HTTP 400"));
}

TEST_F(OtlpTransportTest, AnAnswerThatIsTooLongIsNotTakenIn) {
  answer_ = std::string(1 << 20, 'x');
  EXPECT_EQ(Post().kind, PostResult::Kind::kTryAgain);
}

TEST_F(OtlpTransportTest, WithoutACollectorItMayBeTriedAgain) {
  settings_.endpoint.address.port = 1;
  const PostResult result = Post();
  EXPECT_EQ(result.kind, PostResult::Kind::kTryAgain);
  EXPECT_THAT(result.message, HasSubstr("http://127.0.0.1:1/v1/traces"));
}

}  // namespace
}  // namespace startscope
