// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_OTLP_TRANSPORT_H_
#define STARTSCOPE_CLIENT_EXPORT_OTLP_TRANSPORT_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "client/export/otlp.pb.h"
#include "client/export/otlp_settings.h"

namespace startscope {

struct PostResult {
  enum class Kind : uint8_t {
    kAccepted,
    // Worth another attempt: no connection, no answer, or the collector is busy.
    kTryAgain,
    // It will never take this.
    kRefused,
  };
  Kind kind = Kind::kRefused;
  // Why not; empty: accepted whole.
  std::string message = {};
  // As the collector asks.
  std::optional<absl::Duration> retry_after = {};
  // Of an accepted request.
  int64_t rejected_spans = 0;
  // On the wire, headers not counted.
  size_t body_bytes = 0;
};

// One attempt to hand a request to a collector.
class OtlpTransport {
 public:
  virtual ~OtlpTransport() = default;
  virtual PostResult Post(const otlp::Traces& traces) = 0;
};

// OTLP/HTTP. One thread at a time.
[[nodiscard]] std::unique_ptr<OtlpTransport> MakeHttpTransport(const OtlpSettings& settings,
                                                               const std::string& version);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_OTLP_TRANSPORT_H_
