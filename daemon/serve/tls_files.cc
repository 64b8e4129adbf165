// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/serve/tls_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "daemon/base/unique_fd.h"

namespace startscope {
namespace {

constexpr off_t kMostBytes = 1 << 20;

absl::StatusOr<std::string> ReadPem(const char* option, const std::string& path, bool secret) {
  const auto refuse = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(option, " ", path, ": ", why));
  };
  if (path.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        option,
        ": missing; --listen tcp:// is served with mutual TLS only, which takes --tls-cert, "
        "--tls-key and --tls-client-ca"));
  }
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!fd.valid() || fstat(fd.get(), &status) != 0) return refuse(std::strerror(errno));
  if (!S_ISREG(status.st_mode) || status.st_size > kMostBytes) {
    return refuse("not a regular file of at most 1 MiB");
  }
  if (secret && (status.st_mode & (S_IROTH | S_IWOTH | S_IWGRP)) != 0) {
    return refuse("others may read or change it (chmod 0640 or less)");
  }
  std::string text(static_cast<size_t>(status.st_size), '\0');
  const ssize_t size = pread(fd.get(), text.data(), text.size(), 0);
  if (size != status.st_size) return refuse("could not be read in full");
  if (text.find("-----BEGIN ") == std::string::npos) return refuse("not PEM");
  return text;
}

}  // namespace

absl::StatusOr<TlsMaterial> ReadTlsFiles(const TlsPaths& paths) {
  TlsMaterial material;
  const struct {
    const char* option;
    const std::string& path;
    bool secret;
    std::string* text;
  } files[] = {{"--tls-cert", paths.certificate, false, &material.certificate},
               {"--tls-key", paths.key, true, &material.key},
               {"--tls-client-ca", paths.client_authorities, false, &material.client_authorities}};
  for (const auto& file : files) {
    absl::StatusOr<std::string> text = ReadPem(file.option, file.path, file.secret);
    if (!text.ok()) return text.status();
    *file.text = *std::move(text);
  }
  return material;
}

}  // namespace startscope
