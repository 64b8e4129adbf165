// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/metrics_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include "client/export/process_metrics.h"

namespace startscope {
namespace {

using ::testing::HasSubstr;

class MetricsServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto server = MetricsServer::Start({"127.0.0.1", 0}, {&process_});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  httplib::Client Client() { return httplib::Client("127.0.0.1", server_->address().port); }

  ProcessMetrics process_;
  std::unique_ptr<MetricsServer> server_;
};

TEST_F(MetricsServerTest, ServesTheTextForm) {
  const auto response = Client().Get("/metrics");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->get_header_value("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(response->body, HasSubstr("# TYPE process_resident_memory_bytes gauge"));
}

TEST_F(MetricsServerTest, IsHealthyOnceItWatches) {
  auto client = Client();
  EXPECT_EQ(client.Get("/healthz")->status, 503);
  server_->SetTrouble("");
  EXPECT_EQ(client.Get("/healthz")->status, 200);
  server_->SetTrouble("the daemon went away");
  const auto response = client.Get("/healthz");
  EXPECT_EQ(response->status, 503);
  EXPECT_EQ(response->body, "the daemon went away\n");
}

TEST_F(MetricsServerTest, OtherPathsAndMethodsAreRefused) {
  auto client = Client();
  EXPECT_EQ(client.Get("/etc/passwd")->status, 404);
  EXPECT_EQ(client.Post("/metrics", "x", "text/plain")->status, 404);
}

TEST_F(MetricsServerTest, PacksForThoseWhoTakeGzip) {
  const auto response = Client().Get("/metrics", {{"Accept-Encoding", "gzip"}});
  ASSERT_TRUE(response);
  EXPECT_EQ(response->get_header_value("Content-Encoding"), "gzip");
  EXPECT_THAT(response->body, HasSubstr("process_resident_memory_bytes"));
}

TEST_F(MetricsServerTest, ARequestThatIsTooLongIsNotTakenIn) {
  httplib::Headers headers;
  for (int i = 0; i < 100; ++i) headers.emplace("X-Filler", std::string(100, 'x'));
  const auto response = Client().Get("/metrics", headers);
  EXPECT_TRUE(!response || response->status >= 400);
  EXPECT_EQ(Client().Get("/metrics")->status, 200);
}

TEST_F(MetricsServerTest, AnAddressThatIsTakenIsAnError) {
  const auto second = MetricsServer::Start({"127.0.0.1", server_->address().port}, {});
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("Address already in use"));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("--listen"));
}

TEST(MetricsServerStopTest, EndsAtOnceAfterItsStart) {
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(MetricsServer::Start({"127.0.0.1", 0}, {}).ok());
}

}  // namespace
}  // namespace startscope
