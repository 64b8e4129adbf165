// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/serve/acceptor.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "daemon/base/errno_status.h"

namespace startscope {
namespace {

// RFC 9113, 3.4.
constexpr absl::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
// poll(2) cannot wait for "more than now": the rest of a preface is looked for at this pace.
constexpr absl::Duration kPartialCheck = absl::Milliseconds(20);
constexpr absl::Duration kOutOfDescriptorsPause = absl::Milliseconds(100);
constexpr size_t kFixedEntries = 3;
// Newcomers between two looks at those who are there.
constexpr int kAcceptsATurn = 32;

// An empty SETTINGS frame, which must come first, and GOAWAY with ENHANCE_YOUR_CALM and the reason
// (RFC 9113, 6.5 and 6.8). What does not fit into the socket at once is not sent.
void SayGoAway(int fd, absl::string_view reason) {
  std::string frames(9, '\0');
  frames[3] = 4;
  const size_t length = 8 + reason.size();
  std::string header(9, '\0');
  header[1] = static_cast<char>(length >> 8);
  header[2] = static_cast<char>(length);
  header[3] = 7;
  absl::StrAppend(&frames, header, absl::string_view("\0\0\0\0\0\0\0\x0b", 8), reason);
  [[maybe_unused]] const ssize_t sent =
      send(fd, frames.data(), frames.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

Acceptor::Acceptor(const ConnectionLimits& limits, std::optional<uint32_t> admin_gid,
                   PeerRegistry* registry, Handlers handlers)
    : limits_(limits),
      admin_gid_(admin_gid),
      registry_(registry),
      handlers_(std::move(handlers)),
      stop_(eventfd(0, EFD_CLOEXEC)) {}

Acceptor::~Acceptor() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t ignored = write(stop_.get(), &one, sizeof(one));
  thread_.join();
}

absl::Status Acceptor::AddServed(UniqueFd connection) {
  absl::StatusOr<PeerIdentity> identity = ReadPeerIdentity(connection.get(), admin_gid_);
  if (!identity.ok()) return identity.status();
  fcntl(connection.get(), F_SETFL, fcntl(connection.get(), F_GETFL) | O_NONBLOCK);
  fcntl(connection.get(), F_SETFD, FD_CLOEXEC);
  Connection served;
  served.watched = std::move(connection);
  served.identity = *identity;
  served.served = true;
  if (!HandOver(served)) return ErrnoStatus(errno, "duplicating a connection");
  connections_.push_back(std::move(served));
  return absl::OkStatus();
}

void Acceptor::Start(ListeningSocket local, ListeningSocket tls) {
  local_ = std::move(local);
  tls_ = std::move(tls);
  thread_ = std::thread([this] { Loop(); });
}

AcceptorStats Acceptor::stats() const { return {accepted_, refused_, dropped_}; }

int Acceptor::PollTimeout() const {
  const absl::Time now = absl::Now();
  absl::Time next = paused_until_ > now ? paused_until_ : absl::InfiniteFuture();
  for (const Connection& connection : connections_) {
    next = std::min(next, connection.deadline);
    if (connection.partial) next = std::min(next, now + kPartialCheck);
  }
  if (next == absl::InfiniteFuture()) return -1;
  // Rounded up: a deadline is looked at when it has passed, not just before.
  const int64_t ms = absl::ToInt64Milliseconds(next - now) + 1;
  return static_cast<int>(std::clamp<int64_t>(ms, 0, INT_MAX));
}

void Acceptor::Loop() {
  std::vector<pollfd> polled;
  while (true) {
    const bool paused = paused_until_ > absl::Now();
    polled.clear();
    polled.push_back({stop_.get(), POLLIN, 0});
    polled.push_back({local_.valid() && !paused ? local_.fd() : -1, POLLIN, 0});
    polled.push_back({tls_.valid() && !paused ? tls_.fd() : -1, POLLIN, 0});
    for (const Connection& connection : connections_) {
      const bool wants_data = !connection.handed_over && !connection.partial;
      polled.push_back(
          {connection.watched.get(), static_cast<short>(POLLRDHUP | (wants_data ? POLLIN : 0)), 0});
    }
    if (poll(polled.data(), polled.size(), PollTimeout()) < 0) {
      if (errno == EINTR) continue;
      return;
    }
    if (polled[0].revents != 0) return;
    const absl::Time now = absl::Now();
    for (size_t i = connections_.size(); i-- > 0;) {
      Connection& connection = connections_[i];
      const short seen = polled[i + kFixedEntries].revents;
      bool stays = (seen & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) == 0;
      if (stays && !connection.handed_over) {
        stays = now < connection.deadline && Advance(connection);
        if (!stays) ++dropped_;
      }
      if (stays) continue;
      const bool served = connection.served;
      Remove(i);
      if (served && handlers_.last_connection_gone) {
        handlers_.last_connection_gone();
        return;
      }
    }
    for (int i = 0; i < kAcceptsATurn; ++i) {
      if ((polled[1].revents & POLLIN) == 0 || !AcceptFrom(local_, /*tls=*/false)) break;
    }
    for (int i = 0; i < kAcceptsATurn; ++i) {
      if ((polled[2].revents & POLLIN) == 0 || !AcceptFrom(tls_, /*tls=*/true)) break;
    }
  }
}

bool Acceptor::AcceptFrom(const ListeningSocket& socket, bool tls) {
  UniqueFd accepted(accept4(socket.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!accepted.valid()) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      paused_until_ = absl::Now() + kOutOfDescriptorsPause;
    }
    return false;
  }
  Connection connection;
  connection.tls = tls;
  if (tls) {
    const int one = 1;
    setsockopt(accepted.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  } else {
    const absl::StatusOr<PeerIdentity> identity = ReadPeerIdentity(accepted.get(), admin_gid_);
    // A client whose identity the kernel will not tell is not served; its connection just closes.
    if (!identity.ok()) return true;
    connection.identity = *identity;
  }
  if (const std::string reason = ReasonToRefuse(tls, connection.identity); !reason.empty()) {
    ++refused_;
    if (!tls) SayGoAway(accepted.get(), reason);
    return true;
  }
  ++accepted_;
  connection.watched = std::move(accepted);
  if (tls) {
    // Its handshake is gRPC's, with the same limit of time.
    if (!HandOver(connection)) return true;
    ++tls_count_;
  } else {
    connection.deadline = absl::Now() + limits_.handshake;
    ++local_count_;
    if (!connection.identity.privileged) ++by_user_[connection.identity.uid];
  }
  connections_.push_back(std::move(connection));
  return true;
}

std::string Acceptor::ReasonToRefuse(bool tls, const PeerIdentity& identity) const {
  if (tls) return tls_count_ >= limits_.max_tls_connections ? "too many connections" : "";
  if (local_count_ >= limits_.max_connections) {
    return absl::StrCat("this daemon serves at most ", limits_.max_connections,
                        " connections at once (--max-connections)");
  }
  if (identity.privileged) return "";
  const auto count = by_user_.find(identity.uid);
  if (count != by_user_.end() && count->second >= limits_.max_connections_per_user) {
    return absl::StrCat("this daemon serves at most ", limits_.max_connections_per_user,
                        " connections of one user at once (--max-connections-per-user)");
  }
  return "";
}

bool Acceptor::Advance(Connection& connection) {
  char bytes[kPreface.size()];
  const ssize_t size =
      recv(connection.watched.get(), bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
  if (size < 0) return errno == EAGAIN || errno == EINTR;
  if (size == 0) return false;
  const auto count = static_cast<size_t>(size);
  if (absl::string_view(bytes, count) != kPreface.substr(0, count)) return false;
  connection.partial = count < kPreface.size();
  return connection.partial || HandOver(connection);
}

bool Acceptor::HandOver(Connection& connection) {
  UniqueFd duplicate(fcntl(connection.watched.get(), F_DUPFD_CLOEXEC, 0));
  if (!duplicate.valid()) return false;
  UniqueFd given = std::exchange(connection.watched, std::move(duplicate));
  connection.handed_over = true;
  connection.deadline = absl::InfiniteFuture();
  if (connection.tls) {
    handlers_.tls(std::move(given));
  } else {
    connection.key = registry_->Set(given.get(), connection.identity);
    handlers_.local(std::move(given));
  }
  return true;
}

void Acceptor::Remove(size_t index) {
  const Connection& connection = connections_[index];
  if (connection.tls) {
    --tls_count_;
  } else if (!connection.served) {
    --local_count_;
    const auto user = by_user_.find(connection.identity.uid);
    if (!connection.identity.privileged && user != by_user_.end() && --user->second == 0) {
      by_user_.erase(user);
    }
  }
  if (connection.handed_over && !connection.tls) registry_->Remove(connection.key);
  if (index + 1 != connections_.size()) std::swap(connections_[index], connections_.back());
  connections_.pop_back();
}

}  // namespace startscope
