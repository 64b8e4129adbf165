// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/metrics_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "client/export/process_metrics.h"
#include "daemon/base/unique_fd.h"

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

  // All that is answered to these bytes.
  std::string Ask(const std::string& request) {
    const UniqueFd connection(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server_->address().port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(connection.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      return "no connection";
    }
    if (send(connection.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return "closed";
    std::string answer;
    char buffer[4096];
    while (true) {
      const ssize_t count = recv(connection.get(), buffer, sizeof(buffer), 0);
      if (count <= 0) return answer;
      answer.append(buffer, static_cast<size_t>(count));
    }
  }

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

TEST_F(MetricsServerTest, NoPageOfAnotherSiteIsAllowedToAsk) {
  const auto response = Client().Options("/metrics", {{"Origin", "http://elsewhere.example"},
                                                      {"Access-Control-Request-Method", "GET"}});
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 404);
  EXPECT_FALSE(response->has_header("Access-Control-Allow-Origin"));
  EXPECT_FALSE(response->has_header("Access-Control-Allow-Methods"));
}

TEST_F(MetricsServerTest, WhatIsNoRequestIsAnsweredLikeAllElse) {
  for (const std::string request : {"PRI * HTTP/2.0\r\n\r\n", "no request\r\n\r\n"}) {
    EXPECT_EQ(Ask(request),
              "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
              "Content-Length: 12\r\nConnection: close\r\n\r\nBad Request\n");
  }
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
