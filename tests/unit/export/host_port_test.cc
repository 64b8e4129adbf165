// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/host_port.h"

#include <gtest/gtest.h>

namespace startscope {
namespace {

TEST(HostPortTest, ReadsHostAndPort) {
  const auto address = ParseHostPort("10.0.0.1:9464");
  ASSERT_TRUE(address.ok());
  EXPECT_EQ(address->host, "10.0.0.1");
  EXPECT_EQ(address->port, 9464);
}

TEST(HostPortTest, WithoutAHostItIsLoopback) {
  EXPECT_EQ(ToText(*ParseHostPort(":80")), "127.0.0.1:80");
  EXPECT_EQ(ToText(*ParseHostPort("80")), "127.0.0.1:80");
}

TEST(HostPortTest, AnIpv6AddressHasBrackets) {
  EXPECT_EQ(ParseHostPort("[::1]:80")->host, "::1");
  EXPECT_EQ(ToText(*ParseHostPort("[::1]:80")), "[::1]:80");
  EXPECT_FALSE(ParseHostPort("::1:80").ok());
}

TEST(HostPortTest, WhatIsNoPortIsRefusedWithAnExample) {
  for (const char* text : {"", "host", "host:", "host:x", "host:65536", "host:-1"}) {
    const auto address = ParseHostPort(text);
    ASSERT_FALSE(address.ok()) << text;
    EXPECT_NE(address.status().message().find("127.0.0.1:9464"), std::string::npos);
  }
}

TEST(HostPortTest, KnowsLoopback) {
  for (const char* host : {"localhost", "127.0.0.1", "127.9.9.9", "::1"}) {
    EXPECT_TRUE(IsLoopback(host)) << host;
  }
  for (const char* host :
       {"0.0.0.0", "::", "10.0.0.1", "localhost.example.com", "127.0.0.1.example"}) {
    EXPECT_FALSE(IsLoopback(host)) << host;
  }
}

}  // namespace
}  // namespace startscope
