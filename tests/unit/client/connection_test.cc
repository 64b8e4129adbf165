// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <filesystem>
#include <fstream>

#include "daemon/base/unique_fd.h"

namespace startscope {
namespace {

using testing::HasSubstr;

Failure OpenFailure(const std::string& address) {
  auto opened = Connection::Open({.address = address});
  const auto* failure = std::get_if<Failure>(&opened);
  return failure == nullptr ? Failure{} : *failure;
}

TEST(SocketPath, UnderstandsTheFormsOfAnAddress) {
  EXPECT_EQ(*SocketPath("unix:///run/x.sock"), "/run/x.sock");
  EXPECT_EQ(*SocketPath("unix:/run/x.sock"), "/run/x.sock");
  EXPECT_EQ(*SocketPath("unix:relative.sock"), "relative.sock");
  EXPECT_EQ(*SocketPath("/run/x.sock"), "/run/x.sock");
}

TEST(SocketPath, RefusesWhatIsNotAUnixSocket) {
  for (const std::string address : {"localhost:50051", "dns:///x", "", "unix:", "unix://x/y"}) {
    EXPECT_FALSE(SocketPath(address).ok()) << address;
  }
  EXPECT_FALSE(SocketPath("unix:///" + std::string(200, 'x')).ok());
}

TEST(ConnectionErrors, AnAbsentSocketNamesItselfAndTheRemedy) {
  const Failure failure = OpenFailure("unix:///no/such/socket");
  EXPECT_EQ(failure.exit_code, kExitNoDaemon);
  const std::string message(failure.status.message());
  EXPECT_THAT(message, HasSubstr("/no/such/socket"));
  EXPECT_THAT(message, HasSubstr("systemctl start startscoped"));
}

TEST(ConnectionErrors, ABadAddressIsAUsageError) {
  EXPECT_EQ(OpenFailure("tcp://host:1").exit_code, kExitUsage);
}

TEST(ConnectionErrors, AFileThatIsNoSocketIsRefused) {
  const std::string path = testing::TempDir() + "startscope-no-socket";
  std::ofstream(path) << "text";
  EXPECT_EQ(OpenFailure("unix:" + path).exit_code, kExitNoDaemon);
  std::filesystem::remove(path);
}

TEST(ConnectionErrors, ASocketNobodyListensOnIsToldFromAnAbsentOne) {
  const std::string path = testing::TempDir() + "startscope-stale-socket";
  std::filesystem::remove(path);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  fd.Reset();
  EXPECT_THAT(std::string(OpenFailure("unix:" + path).status.message()),
              HasSubstr("Connection refused"));
  std::filesystem::remove(path);
}

TEST(ConnectionErrors, TheEnvironmentNamesTheAddress) {
  setenv("STARTSCOPE_ADDRESS", "unix:///from/environment", 1);
  EXPECT_THAT(std::string(OpenFailure("").status.message()), HasSubstr("/from/environment"));
  EXPECT_THAT(std::string(OpenFailure("unix:///from/flag").status.message()),
              HasSubstr("/from/flag"));
  unsetenv("STARTSCOPE_ADDRESS");
}

TEST(DaemonBinary, TheEnvironmentMustNameAnExecutableFile) {
  setenv("STARTSCOPE_DAEMON", "/etc/passwd", 1);
  EXPECT_FALSE(FindDaemonBinary().ok());
  setenv("STARTSCOPE_DAEMON", "/bin/true", 1);
  EXPECT_EQ(*FindDaemonBinary(), "/bin/true");
  unsetenv("STARTSCOPE_DAEMON");
}

}  // namespace
}  // namespace startscope
