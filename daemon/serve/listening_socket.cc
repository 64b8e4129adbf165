// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/serve/listening_socket.h"

#include <arpa/inet.h>
#include <grp.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/base/errno_status.h"

namespace startscope {
namespace {

constexpr int kBacklog = 128;

absl::StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("socket ", path, ": the path must have 1 to ",
                                                   sizeof(address.sun_path) - 1, " bytes"));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size());
  return address;
}

// A socket file that nobody listens on is what a killed daemon left: it may be replaced.
absl::Status RemoveStaleSocket(const std::string& path, const sockaddr_un& address) {
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) return absl::OkStatus();
  if (!S_ISSOCK(status.st_mode)) {
    return absl::AlreadyExistsError(
        absl::StrCat(path, ": exists and is not a socket (give another --listen path)"));
  }
  const UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return absl::AlreadyExistsError(
        absl::StrCat(path,
                     ": a running daemon listens there (stop it, or give another --listen "
                     "path)"));
  }
  if (errno != ECONNREFUSED) return ErrnoStatus(errno, path);
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, path);
  return absl::OkStatus();
}

std::string NameOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  char host[NI_MAXHOST] = "?";
  char port[NI_MAXSERV] = "?";
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, host, sizeof(host), port,
                sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
  }
  return address.ss_family == AF_INET6 ? absl::StrCat("tcp://[", host, "]:", port)
                                       : absl::StrCat("tcp://", host, ":", port);
}

}  // namespace

std::optional<gid_t> FindGroup(const std::string& name) {
  group entry{};
  group* found = nullptr;
  char buffer[16384];
  if (getgrnam_r(name.c_str(), &entry, buffer, sizeof(buffer), &found) != 0 || found == nullptr) {
    return std::nullopt;
  }
  return found->gr_gid;
}

absl::StatusOr<ListeningSocket> ListeningSocket::OpenUnix(const std::string& path,
                                                          std::optional<uid_t> owner,
                                                          std::optional<gid_t> group) {
  SS_ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  SS_RETURN_IF_ERROR(RemoveStaleSocket(path, address));
  ListeningSocket self;
  self.fd_.Reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!self.fd_.valid()) return ErrnoStatus(errno, "socket(AF_UNIX)");
  // bind() creates the file with the mode that the mask leaves: it is never wider than 0660.
  const mode_t old_mask = umask(0117);
  const int bound =
      bind(self.fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int error = errno;
  umask(old_mask);
  if (bound != 0) {
    return ErrnoStatus(error, absl::StrCat("binding ", path),
                       error == ENOENT ? "its directory must exist" : "");
  }
  self.path_ = path;
  self.address_ = absl::StrCat("unix://", path);
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) return ErrnoStatus(errno, path);
  self.inode_ = status.st_ino;
  // A service that is started as its own user already may not even ask for it.
  const bool is_theirs =
      status.st_uid == owner.value_or(status.st_uid) && status.st_gid == group.value_or(status.st_gid);
  if (!is_theirs && lchown(path.c_str(), owner.value_or(static_cast<uid_t>(-1)),
                                 group.value_or(static_cast<gid_t>(-1))) != 0) {
    return ErrnoStatus(errno, absl::StrCat("giving ", path, " to the admin group"),
                       "start as root, or as a member of the group");
  }
  if (listen(self.fd_.get(), kBacklog) != 0) {
    return ErrnoStatus(errno, absl::StrCat("listening on ", path));
  }
  return self;
}

absl::StatusOr<ListeningSocket> ListeningSocket::OpenTcp(const std::string& host_port) {
  const size_t colon = host_port.rfind(':');
  const auto malformed = [&](const char* why) {
    return absl::InvalidArgumentError(absl::StrCat("--listen tcp://", host_port, ": ", why,
                                                   " (tcp://ADDRESS:PORT, IPv6 in brackets)"));
  };
  if (colon == std::string::npos) return malformed("has no port");
  std::string host = host_port.substr(0, colon);
  const std::string port = host_port.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (host.empty() || port.empty() ||
      getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0 || found == nullptr) {
    return malformed("not a numeric address and port");
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> address(found, freeaddrinfo);
  ListeningSocket self;
  self.fd_.Reset(socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!self.fd_.valid()) return ErrnoStatus(errno, "socket(AF_INET)");
  const int one = 1;
  setsockopt(self.fd_.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  if (bind(self.fd_.get(), address->ai_addr, address->ai_addrlen) != 0 ||
      listen(self.fd_.get(), kBacklog) != 0) {
    return ErrnoStatus(errno, absl::StrCat("listening on tcp://", host_port));
  }
  self.address_ = NameOf(self.fd_.get());
  return self;
}

ListeningSocket::ListeningSocket(ListeningSocket&& other) noexcept
    : fd_(std::move(other.fd_)),
      address_(std::move(other.address_)),
      path_(std::exchange(other.path_, {})),
      inode_(std::exchange(other.inode_, 0)) {}

ListeningSocket& ListeningSocket::operator=(ListeningSocket&& other) noexcept {
  if (this == &other) return *this;
  RemoveFile();
  fd_ = std::move(other.fd_);
  address_ = std::move(other.address_);
  path_ = std::exchange(other.path_, {});
  inode_ = std::exchange(other.inode_, 0);
  return *this;
}

ListeningSocket::~ListeningSocket() { RemoveFile(); }

void ListeningSocket::RemoveFile() {
  struct stat status {};
  if (inode_ != 0 && lstat(path_.c_str(), &status) == 0 && status.st_ino == inode_) {
    unlink(path_.c_str());
  }
}

}  // namespace startscope
