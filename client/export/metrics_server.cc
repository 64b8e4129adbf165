// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/metrics_server.h"

#include <civetweb.h>
#include <prometheus/text_serializer.h>

#include <cstring>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/export/gzip.h"

namespace startscope {
namespace {

// Each connection is closed after its answer: a scrape is seconds away from the next. Browsers are
// not told that any page may ask, as they are by default.
constexpr const char* kOptions[][2] = {{"num_threads", "4"},
                                       {"connection_queue", "16"},
                                       {"listen_backlog", "16"},
                                       {"max_request_size", "4096"},
                                       {"request_timeout_ms", "2000"},
                                       {"enable_keep_alive", "no"},
                                       {"enable_directory_listing", "no"},
                                       {"access_control_allow_origin", ""},
                                       {"access_control_allow_methods", ""},
                                       {"access_control_allow_headers", ""}};

void Answer(mg_connection* connection, int status, const char* reason, const char* type,
            const std::string& body, bool may_pack) {
  const char* accepted = may_pack ? mg_get_header(connection, "Accept-Encoding") : nullptr;
  const bool pack = accepted != nullptr && absl::StrContains(accepted, "gzip");
  const std::string packed = pack ? Gzip(body) : "";
  const std::string& sent = packed.empty() ? body : packed;
  mg_printf(connection,
            "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n%sContent-Length: %zu\r\n"
            "Connection: close\r\n\r\n",
            status, reason, type, packed.empty() ? "" : "Content-Encoding: gzip\r\n", sent.size());
  mg_write(connection, sent.data(), sent.size());
}

bool IsGet(const mg_connection* connection) {
  return strcmp(mg_get_request_info(connection)->request_method, "GET") == 0;
}

constexpr char kPlainText[] = "text/plain; charset=utf-8";

// Handlers get what is below their path too.
bool IsExactly(const mg_connection* connection, const char* path) {
  return strcmp(mg_get_request_info(connection)->local_uri, path) == 0;
}

}  // namespace

std::string ScrapeText(const std::vector<const prometheus::Collectable*>& collectables) {
  std::vector<prometheus::MetricFamily> families;
  for (const prometheus::Collectable* collectable : collectables) {
    std::vector<prometheus::MetricFamily> more = collectable->Collect();
    std::move(more.begin(), more.end(), std::back_inserter(families));
  }
  return prometheus::TextSerializer().Serialize(families);
}

int MetricsServer::OnMetrics(mg_connection* connection, void* self) {
  if (!IsGet(connection) || !IsExactly(connection, "/metrics")) {
    return OnAnythingElse(connection, self);
  }
  Answer(connection, 200, "OK", "text/plain; version=0.0.4; charset=utf-8",
         ScrapeText(static_cast<MetricsServer*>(self)->collectables_), true);
  return 200;
}

int MetricsServer::OnHealth(mg_connection* connection, void* self) {
  if (!IsGet(connection) || !IsExactly(connection, "/healthz")) {
    return OnAnythingElse(connection, self);
  }
  std::string trouble;
  {
    auto* server = static_cast<MetricsServer*>(self);
    absl::MutexLock lock(&server->mutex_);
    trouble = server->trouble_;
  }
  const int status = trouble.empty() ? 200 : 503;
  Answer(connection, status, trouble.empty() ? "OK" : "Service Unavailable", kPlainText,
         trouble.empty() ? "ok\n" : trouble + "\n", false);
  return status;
}

int MetricsServer::OnAnythingElse(mg_connection* connection, void*) {
  Answer(connection, 404, "Not Found", kPlainText, "there are /metrics and /healthz\n", false);
  return 404;
}

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(
    const HostPort& address, std::vector<const prometheus::Collectable*> collectables) {
  auto server = std::unique_ptr<MetricsServer>(new MetricsServer());
  server->address_ = address;
  server->collectables_ = std::move(collectables);
  if (address.host == "localhost") server->address_.host = "127.0.0.1";
  const std::string listening = ToText(server->address_);
  std::vector<const char*> options = {"listening_ports", listening.c_str()};
  for (const auto& option : kOptions) options.insert(options.end(), option, std::end(option));
  options.push_back(nullptr);
  mg_callbacks callbacks{};
  // Its own words go to stderr otherwise.
  callbacks.log_message = [](const mg_connection* connection, const char* message) {
    // Of a connection: what some client did. The start's own are for the error below.
    if (mg_get_request_info(connection) == nullptr) {
      auto* self = static_cast<MetricsServer*>(mg_get_user_data(mg_get_context(connection)));
      if (self == nullptr) return 1;
      absl::MutexLock lock(&self->mutex_);
      if (self->first_words_.empty()) self->first_words_ = message;
    }
    return 1;
  };
  // What is no request is answered like all else, not in the version of HTTP that it names.
  callbacks.http_error = [](mg_connection* connection, int status, const char*) {
    const char* reason = mg_get_response_code_text(connection, status);
    Answer(connection, status, reason, kPlainText, absl::StrCat(reason, "\n"), false);
    return 0;
  };
  server->context_ = mg_start(&callbacks, server.get(), options.data());
  if (server->context_ == nullptr) {
    absl::MutexLock lock(&server->mutex_);
    return absl::UnavailableError(absl::StrCat("cannot listen on ", ToText(address), ": ",
                                               server->first_words_,
                                               " (name another with --listen HOST:PORT)"));
  }
  mg_server_port port{};
  if (mg_get_server_ports(server->context_, 1, &port) == 1) server->address_.port = port.port;
  mg_set_request_handler(server->context_, "/metrics", OnMetrics, server.get());
  mg_set_request_handler(server->context_, "/healthz", OnHealth, server.get());
  mg_set_request_handler(server->context_, "/", OnAnythingElse, server.get());
  return server;
}

MetricsServer::~MetricsServer() {
  if (context_ != nullptr) mg_stop(context_);
}

void MetricsServer::SetTrouble(const std::string& trouble) {
  absl::MutexLock lock(&mutex_);
  trouble_ = trouble;
}

}  // namespace startscope
