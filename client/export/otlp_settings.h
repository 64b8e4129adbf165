// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_OTLP_SETTINGS_H_
#define STARTSCOPE_CLIENT_EXPORT_OTLP_SETTINGS_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/export/host_port.h"
#include "client/export/otlp.pb.h"

namespace startscope {

// An environment variable's value; empty: not set.
using Environment = std::function<std::string(const char* name)>;
[[nodiscard]] std::string ProcessEnvironment(const char* name);

enum class OtlpEncoding : uint8_t { kProtobuf, kJson };

struct OtlpEndpoint {
  bool tls = false;
  HostPort address;
  std::string path;
};
// "http://host:port/path" and https alike, for messages.
[[nodiscard]] std::string ToText(const OtlpEndpoint& endpoint);

// Where and how to push.
struct OtlpSettings {
  OtlpEndpoint endpoint;
  OtlpEncoding encoding = OtlpEncoding::kProtobuf;
  bool gzip = true;
  absl::Duration timeout = absl::Seconds(10);
  // May hold secrets: never printed.
  std::vector<std::pair<std::string, std::string>> headers;
};

// What the command line says; empty: nothing.
struct OtlpFlags {
  std::string endpoint = {};
  std::string protocol = {};
  std::string compression = {};
  bool insecure = false;
};

// The flags, then OTEL_EXPORTER_OTLP_TRACES_*, then OTEL_EXPORTER_OTLP_*, then
// http://127.0.0.1:4318. Plain http to another machine is refused unless `insecure`.
[[nodiscard]] absl::StatusOr<OtlpSettings> ReadOtlpSettings(const OtlpFlags& flags,
                                                            const Environment& environment);

// What the spans are from: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, and, where the startups are
// this machine's, its names.
[[nodiscard]] absl::StatusOr<otlp::Resource> ReadResource(bool of_this_machine,
                                                          const std::string& version,
                                                          const Environment& environment);
// The resource's host.id, or host.name: what tells machines apart; may be empty.
[[nodiscard]] std::string MachineOf(const otlp::Resource& resource);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_OTLP_SETTINGS_H_
