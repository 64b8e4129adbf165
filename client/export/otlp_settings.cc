// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/otlp_settings.h"

#include <sys/utsname.h>

#include <cstdlib>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/export/trace_builder.h"
#include "daemon/base/errno_status.h"

namespace startscope {
namespace {

constexpr char kDefaultEndpoint[] = "http://127.0.0.1:4318";
constexpr char kTracesPath[] = "v1/traces";
constexpr size_t kMaxPairs = 64;

std::string PercentDecoded(absl::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && absl::ascii_isxdigit(text[i + 1]) &&
        absl::ascii_isxdigit(text[i + 2])) {
      const char digits[] = {text[i + 1], text[i + 2], '\0'};
      result += static_cast<char>(strtol(digits, nullptr, 16));
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

// "a=b,c=d", values percent-encoded: the form of both headers and attributes. The error leaves out
// what was there: a header is likely to be a secret.
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ReadPairs(
    const char* variable, const std::string& text) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (absl::string_view part : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
    const size_t equals = part.find('=');
    const absl::string_view key = absl::StripAsciiWhitespace(part.substr(0, equals));
    if (equals == absl::string_view::npos || key.empty() || pairs.size() >= kMaxPairs) {
      return absl::InvalidArgumentError(
          absl::StrCat(variable, ": must be KEY=VALUE,KEY=VALUE, at most ", kMaxPairs));
    }
    pairs.emplace_back(PercentDecoded(key),
                       PercentDecoded(absl::StripAsciiWhitespace(part.substr(equals + 1))));
  }
  return pairs;
}

absl::StatusOr<OtlpEndpoint> ParseEndpoint(const std::string& text) {
  const auto wrong = [&text](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("endpoint '", text, "': ", why, " (as in ", kDefaultEndpoint, ")"));
  };
  OtlpEndpoint endpoint;
  absl::string_view rest = text;
  if (absl::ConsumePrefix(&rest, "https://")) {
    endpoint.tls = true;
  } else if (!absl::ConsumePrefix(&rest, "http://")) {
    return wrong("must begin with http:// or https://");
  }
  const size_t slash = rest.find('/');
  std::string authority(rest.substr(0, slash));
  if (slash != absl::string_view::npos) endpoint.path = std::string(rest.substr(slash));
  if (authority.find('@') != std::string::npos) {
    return wrong("a password has no place in it: use OTEL_EXPORTER_OTLP_HEADERS");
  }
  const size_t colon = authority.rfind(':');
  if (colon == std::string::npos || authority.back() == ']') {
    absl::StrAppend(&authority, endpoint.tls ? ":443" : ":80");
  }
  absl::StatusOr<HostPort> address = ParseHostPort(authority);
  if (!address.ok() || address->port == 0 || authority[0] == ':') {
    return wrong("must have a host, and a port up to 65535 if any");
  }
  endpoint.address = *std::move(address);
  return endpoint;
}

// The variable of traces, or the one of all signals.
std::string Variable(const Environment& environment, const std::string& suffix) {
  const std::string of_traces =
      environment(absl::StrCat("OTEL_EXPORTER_OTLP_TRACES_", suffix).c_str());
  return of_traces.empty() ? environment(absl::StrCat("OTEL_EXPORTER_OTLP_", suffix).c_str())
                           : of_traces;
}

absl::StatusOr<OtlpEndpoint> ReadEndpoint(const OtlpFlags& flags, const Environment& environment) {
  const std::string of_traces = environment("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
  std::string text = flags.endpoint;
  // That one alone is used as it is.
  if (text.empty() && !of_traces.empty()) return ParseEndpoint(of_traces);
  if (text.empty()) text = environment("OTEL_EXPORTER_OTLP_ENDPOINT");
  absl::StatusOr<OtlpEndpoint> endpoint = ParseEndpoint(text.empty() ? kDefaultEndpoint : text);
  if (endpoint.ok() && !absl::EndsWith(endpoint->path, kTracesPath)) {
    absl::StrAppend(&endpoint->path, absl::EndsWith(endpoint->path, "/") ? "" : "/", kTracesPath);
  }
  return endpoint;
}

std::string FirstLine(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace

std::string ProcessEnvironment(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

std::string ToText(const OtlpEndpoint& endpoint) {
  return absl::StrCat(endpoint.tls ? "https://" : "http://", ToText(endpoint.address),
                      endpoint.path);
}

absl::StatusOr<OtlpSettings> ReadOtlpSettings(const OtlpFlags& flags,
                                              const Environment& environment) {
  OtlpSettings settings;
  SS_ASSIGN_OR_RETURN(settings.endpoint, ReadEndpoint(flags, environment));
  if (!settings.endpoint.tls && !IsLoopback(settings.endpoint.address.host) && !flags.insecure) {
    return absl::InvalidArgumentError(
        absl::StrCat("endpoint '", ToText(settings.endpoint),
                     "': everyone on the way could read it (use https, a collector on loopback, or "
                     "--insecure)"));
  }
  const std::string protocol =
      flags.protocol.empty() ? Variable(environment, "PROTOCOL") : flags.protocol;
  if (protocol == "http/json") {
    settings.encoding = OtlpEncoding::kJson;
  } else if (!protocol.empty() && protocol != "http/protobuf") {
    return absl::InvalidArgumentError(
        absl::StrCat("protocol '", protocol, "': must be http/protobuf or http/json"));
  }
  const std::string compression =
      flags.compression.empty() ? Variable(environment, "COMPRESSION") : flags.compression;
  settings.gzip = compression.empty() || compression == "gzip";
  if (!settings.gzip && compression != "none") {
    return absl::InvalidArgumentError(
        absl::StrCat("compression '", compression, "': must be gzip or none"));
  }
  if (const std::string timeout = Variable(environment, "TIMEOUT"); !timeout.empty()) {
    uint32_t timeout_ms = 0;
    if (!absl::SimpleAtoi(timeout, &timeout_ms) || timeout_ms == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("OTEL_EXPORTER_OTLP_TIMEOUT '", timeout, "': must be milliseconds above 0"));
    }
    settings.timeout = absl::Milliseconds(timeout_ms);
  }
  SS_ASSIGN_OR_RETURN(settings.headers,
                      ReadPairs("OTEL_EXPORTER_OTLP_HEADERS", Variable(environment, "HEADERS")));
  return settings;
}

absl::StatusOr<otlp::Resource> ReadResource(bool of_this_machine, const std::string& version,
                                            const Environment& environment) {
  std::vector<std::pair<std::string, std::string>> pairs = {{"service.name", "startscope"},
                                                            {"telemetry.sdk.name", "startscope"},
                                                            {"telemetry.sdk.language", "cpp"},
                                                            {"telemetry.sdk.version", version},
                                                            {"os.type", "linux"}};
  if (of_this_machine) {
    utsname names{};
    if (uname(&names) == 0) pairs.emplace_back("host.name", names.nodename);
    pairs.emplace_back("host.id", FirstLine("/etc/machine-id"));
  }
  std::vector<std::pair<std::string, std::string>> given;
  SS_ASSIGN_OR_RETURN(
      given, ReadPairs("OTEL_RESOURCE_ATTRIBUTES", environment("OTEL_RESOURCE_ATTRIBUTES")));
  given.emplace_back("service.name", environment("OTEL_SERVICE_NAME"));
  for (auto& [key, value] : given) {
    if (value.empty()) continue;
    std::string* there = nullptr;
    for (auto& pair : pairs) {
      if (pair.first == key) there = &pair.second;
    }
    if (there != nullptr) {
      *there = value;
    } else {
      pairs.emplace_back(key, value);
    }
  }
  otlp::Resource resource;
  for (const auto& [key, value] : pairs) {
    if (!value.empty()) AddAttribute(key, value, resource.mutable_attributes());
  }
  return resource;
}

std::string MachineOf(const otlp::Resource& resource) {
  std::string name;
  for (const otlp::KeyValue& attribute : resource.attributes()) {
    if (attribute.key() == "host.id") return attribute.value().string_value();
    if (attribute.key() == "host.name") name = attribute.value().string_value();
  }
  return name;
}

}  // namespace startscope
