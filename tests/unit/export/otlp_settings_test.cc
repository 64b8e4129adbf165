// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/otlp_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace startscope {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Environment With(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::string() : found->second;
  };
}

std::string EndpointOf(const OtlpFlags& flags, const Environment& environment) {
  const auto settings = ReadOtlpSettings(flags, environment);
  return settings.ok() ? ToText(settings->endpoint) : std::string(settings.status().message());
}

TEST(OtlpSettingsTest, TheDefaultIsACollectorOnLoopback) {
  EXPECT_EQ(EndpointOf({}, With({})), "http://127.0.0.1:4318/v1/traces");
}

TEST(OtlpSettingsTest, TheFlagPrevailsThenTheVariableOfTracesThenTheGeneralOne) {
  const Environment environment =
      With({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:1/"},
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost:2/as/it/is"}});
  EXPECT_EQ(EndpointOf({.endpoint = "http://[::1]:3"}, environment), "http://[::1]:3/v1/traces");
  EXPECT_EQ(EndpointOf({}, environment), "http://localhost:2/as/it/is");
  EXPECT_EQ(EndpointOf({}, With({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:1/base/"}})),
            "http://localhost:1/base/v1/traces");
}

TEST(OtlpSettingsTest, PlainHttpToAnotherMachineIsRefusedUnlessInsecure) {
  EXPECT_THAT(EndpointOf({.endpoint = "http://10.0.0.1:4318"}, With({})), HasSubstr("--insecure"));
  EXPECT_EQ(EndpointOf({.endpoint = "http://10.0.0.1:4318", .insecure = true}, With({})),
            "http://10.0.0.1:4318/v1/traces");
  EXPECT_EQ(EndpointOf({.endpoint = "https://collector.example"}, With({})),
            "https://collector.example:443/v1/traces");
}

TEST(OtlpSettingsTest, WhatIsNoEndpointIsRefused) {
  for (const char* text : {"localhost:4318", "ftp://localhost", "http://", "http://:1",
                           "http://localhost:0", "http://localhost:99999", "http://a:b:c"}) {
    EXPECT_THAT(EndpointOf({.endpoint = text}, With({})), HasSubstr("endpoint '")) << text;
  }
  EXPECT_THAT(EndpointOf({.endpoint = "http://user:word@localhost"}, With({})),
              HasSubstr("OTEL_EXPORTER_OTLP_HEADERS"));
}

TEST(OtlpSettingsTest, ProtocolCompressionAndTimeoutAreHeeded) {
  const auto settings = ReadOtlpSettings({}, With({{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"},
                                                   {"OTEL_EXPORTER_OTLP_COMPRESSION", "none"},
                                                   {"OTEL_EXPORTER_OTLP_TIMEOUT", "1500"}}));
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->encoding, OtlpEncoding::kJson);
  EXPECT_FALSE(settings->gzip);
  EXPECT_EQ(settings->timeout, absl::Milliseconds(1500));
  EXPECT_FALSE(ReadOtlpSettings({.protocol = "grpc"}, With({})).ok());
  EXPECT_FALSE(ReadOtlpSettings({.compression = "zstd"}, With({})).ok());
  EXPECT_FALSE(ReadOtlpSettings({}, With({{"OTEL_EXPORTER_OTLP_TIMEOUT", "soon"}})).ok());
}

TEST(OtlpSettingsTest, HeadersAreDecodedAndNeverInAnError) {
  const auto settings = ReadOtlpSettings(
      {}, With({{"OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc, x-scope=1"}}));
  ASSERT_TRUE(settings.ok());
  EXPECT_THAT(
      settings->headers,
      ::testing::ElementsAre(std::pair<std::string, std::string>("authorization", "Bearer abc"),
                             std::pair<std::string, std::string>("x-scope", "1")));
  const auto bad = ReadOtlpSettings({}, With({{"OTEL_EXPORTER_OTLP_HEADERS", "secretwithoutkey"}}));
  ASSERT_FALSE(bad.ok());
  EXPECT_THAT(std::string(bad.status().message()), Not(HasSubstr("secretwithoutkey")));
}

TEST(ResourceTest, TheEnvironmentPrevails) {
  const auto resource = ReadResource(
      false, "1.2.3",
      With({{"OTEL_RESOURCE_ATTRIBUTES", "service.name=a,host.name=node%201,k8s.node.name=n"},
            {"OTEL_SERVICE_NAME", "b"}}));
  ASSERT_TRUE(resource.ok());
  std::map<std::string, std::string> attributes;
  for (const auto& attribute : resource->attributes()) {
    EXPECT_TRUE(attributes.emplace(attribute.key(), attribute.value().string_value()).second);
  }
  EXPECT_EQ(attributes["service.name"], "b");
  EXPECT_EQ(attributes["host.name"], "node 1");
  EXPECT_EQ(attributes["k8s.node.name"], "n");
  EXPECT_EQ(MachineOf(*resource), "node 1");
}

TEST(ResourceTest, AFileSaysNotWhichMachineItIsFrom) {
  EXPECT_EQ(MachineOf(*ReadResource(false, "1", With({}))), "");
  EXPECT_NE(MachineOf(*ReadResource(true, "1", With({}))), "");
}

}  // namespace
}  // namespace startscope
