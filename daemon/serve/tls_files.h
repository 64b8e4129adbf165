// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_SERVE_TLS_FILES_H_
#define STARTSCOPE_DAEMON_SERVE_TLS_FILES_H_

#include <string>

#include "absl/status/statusor.h"

namespace startscope {

// The daemon's certificate with its chain, its key, and the authorities that may sign clients'
// certificates, in PEM.
struct TlsMaterial {
  std::string certificate;
  std::string key;
  std::string client_authorities;
};

struct TlsPaths {
  std::string certificate;         // --tls-cert
  std::string key;                 // --tls-key
  std::string client_authorities;  // --tls-client-ca
};

// Reads all three, before privileges are dropped. InvalidArgument when one is not given, cannot be
// read or is not PEM, or when others than the owner and the group may read the key.
absl::StatusOr<TlsMaterial> ReadTlsFiles(const TlsPaths& paths);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_TLS_FILES_H_
