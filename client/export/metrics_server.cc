// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/metrics_server.h"

#include <httplib.h>
#include <prometheus/text_serializer.h>

#include <cerrno>
#include <cstring>
#include <iterator>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace startscope {
namespace {

constexpr size_t kThreads = 4;
constexpr size_t kMaxRequestBytes = 4096;
constexpr time_t kPatienceS = 5;
constexpr size_t kRequestsPerConnection = 100;
constexpr absl::Duration kStopAgain = absl::Milliseconds(10);

}  // namespace

std::string ScrapeText(const std::vector<const prometheus::Collectable*>& collectables) {
  std::vector<prometheus::MetricFamily> families;
  for (const prometheus::Collectable* collectable : collectables) {
    std::vector<prometheus::MetricFamily> more = collectable->Collect();
    std::move(more.begin(), more.end(), std::back_inserter(families));
  }
  return prometheus::TextSerializer().Serialize(families);
}

MetricsServer::MetricsServer() = default;

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(
    const HostPort& address, std::vector<const prometheus::Collectable*> collectables) {
  auto result = std::unique_ptr<MetricsServer>(new MetricsServer());
  result->server_ = std::make_unique<httplib::Server>();
  httplib::Server& server = *result->server_;
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server.set_payload_max_length(kMaxRequestBytes);
  server.set_read_timeout(kPatienceS);
  server.set_write_timeout(kPatienceS);
  server.set_keep_alive_timeout(kPatienceS);
  server.set_keep_alive_max_count(kRequestsPerConnection);
  // Its default lets two servers share a port, each with half of the scrapes.
  server.set_socket_options([](socket_t fd) {
    const int yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  server.Get("/metrics", [collectables = std::move(collectables)](const httplib::Request&,
                                                                  httplib::Response& response) {
    response.set_content(ScrapeText(collectables), "text/plain; version=0.0.4; charset=utf-8");
  });
  server.Get(
      "/healthz", [raw = result.get()](const httplib::Request&, httplib::Response& response) {
        absl::MutexLock lock(&raw->mutex_);
        response.status = raw->trouble_.empty() ? 200 : 503;
        response.set_content(raw->trouble_.empty() ? "ok\n" : raw->trouble_ + "\n", "text/plain");
      });
  result->address_ = address;
  errno = 0;
  if (address.port == 0) {
    result->address_.port = server.bind_to_any_port(address.host.c_str());
  } else if (!server.bind_to_port(address.host.c_str(), address.port)) {
    result->address_.port = -1;
  }
  if (result->address_.port < 0) {
    const std::string why = errno != 0 ? strerror(errno) : "no such address";
    return absl::UnavailableError(absl::StrCat("cannot listen on ", ToText(address), ": ", why,
                                               " (name another with --listen HOST:PORT)"));
  }
  result->thread_ = std::make_unique<std::thread>([raw = result.get()] {
    raw->server_->listen_after_bind();
    raw->over_.Notify();
  });
  return result;
}

MetricsServer::~MetricsServer() {
  if (thread_ == nullptr) return;
  // A stop before the thread has come to listen is lost.
  do {
    server_->stop();
  } while (!over_.WaitForNotificationWithTimeout(kStopAgain));
  thread_->join();
}

void MetricsServer::SetTrouble(const std::string& trouble) {
  absl::MutexLock lock(&mutex_);
  trouble_ = trouble;
}

}  // namespace startscope
