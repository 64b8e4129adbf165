// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "bpf/event.h"
#include "daemon/decode/decoder.h"
#include "daemon/redact/argument_redactor.h"
#include "daemon/redact/exec_record.h"

namespace startscope {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::unique_ptr<ArgumentRedactor> Create(const std::vector<std::string>& patterns = {}) {
  auto redactor = ArgumentRedactor::Create(patterns);
  EXPECT_TRUE(redactor.ok()) << redactor.status();
  return *std::move(redactor);
}

std::string RedactOne(const std::string& argument) { return Create()->Redact({argument})[0]; }

TEST(ArgumentRedactorTest, RemovesValuesOfNamedOptions) {
  EXPECT_EQ(RedactOne("--password=hunter2"), "--password=[redacted]");
  EXPECT_EQ(RedactOne("--db-PassWd=a b c"), "--db-PassWd=[redacted]");
  EXPECT_EQ(RedactOne("-Dapi.token=x=y"), "-Dapi.token=[redacted]");
  EXPECT_EQ(RedactOne("AWS_SECRET_ACCESS_KEY=abc/def+g"), "AWS_SECRET_ACCESS_KEY=[redacted]");
  EXPECT_EQ(RedactOne("credentials='a b'"), "credentials=[redacted]");
  EXPECT_EQ(RedactOne("password=two\nlines"), "password=[redacted]");
}

TEST(ArgumentRedactorTest, RemovesTheArgumentAfterANamedOption) {
  EXPECT_THAT(Create()->Redact({"curl", "--token", "abc", "--api-key", "-x", "host"}),
              ElementsAre("curl", "--token", "[redacted]", "--api-key", "[redacted]", "host"));
  EXPECT_THAT(Create()->Redact({"x", "--secret"}), ElementsAre("x", "--secret"));
}

TEST(ArgumentRedactorTest, RemovesUserAndPasswordOfUrls) {
  EXPECT_EQ(RedactOne("postgres://me:pa@ss@db:5432/x"), "postgres://[redacted]@db:5432/x");
  EXPECT_EQ(RedactOne("--url=https://u:p@h/a@b"), "--url=https://[redacted]@h/a@b");
  EXPECT_EQ(RedactOne("https://h/@scope/package"), "https://h/@scope/package");
}

TEST(ArgumentRedactorTest, RemovesSecretsInsideAnArgument) {
  EXPECT_EQ(RedactOne("https://h/?a=1&token=abc&b=2"), "https://h/?a=1&token=[redacted]&b=2");
  EXPECT_EQ(RedactOne("Authorization: Bearer abc.def"), "Authorization: [redacted]");
  EXPECT_EQ(RedactOne("X-Api-Key: abc def"), "X-Api-Key: [redacted]");
  const std::string script = RedactOne("env PASSWORD='a b' run --token abc -v; echo \"key\": \"s3\"");
  for (const char* secret : {"a b", "abc", "s3"}) EXPECT_FALSE(absl::StrContains(script, secret));
  EXPECT_THAT(script, HasSubstr("-v; echo"));
  EXPECT_THAT(RedactOne(R"({"user":"me","password":"s3cret"})"), HasSubstr(R"("user":"me")"));
  EXPECT_FALSE(absl::StrContains(RedactOne(R"({"user":"me","password":"s3cret"})"), "s3cret"));
}

TEST(ArgumentRedactorTest, LeavesEverythingElseAsItIs) {
  const std::vector<std::string> plain = {
      "/usr/bin/env", "",     "-c",        "a=b",     "--level=9",   "hash:sum", "x\xff\x01y",
      "a b\nc",       "--",   "http://h/", "p@h:/d",  "tokyo=1",     "--pass",   "50%",
      "\\x41",        "\t ",  "user=me",   "a://b/c", "--color=red", "[]"};
  EXPECT_EQ(Create()->Redact(plain), plain);
}

TEST(ArgumentRedactorTest, RemovesWhatOwnPatternsMatch) {
  EXPECT_THAT(Create({"AKIA[A-Z0-9]{4}", "(?i)mine-\\w+"})->Redact({"x=AKIA1234y", "MINE-abc-z"}),
              ElementsAre("x=[redacted]y", "[redacted]-z"));
}

TEST(ArgumentRedactorTest, SaysWhatIsWrongWithAPattern) {
  EXPECT_THAT(ArgumentRedactor::Create({"a(b"}).status().message(), HasSubstr("--redact a(b: "));
  EXPECT_THAT(ArgumentRedactor::Create({"a*"}).status().message(), HasSubstr("empty"));
  EXPECT_FALSE(ArgumentRedactor::Create({std::string(2000, 'a')}).ok());
  EXPECT_FALSE(ArgumentRedactor::Create(std::vector<std::string>(65, "a")).ok());
}

// A record of an exec as the BPF programs write it.
std::vector<uint8_t> ExecRecord(const std::string& text, uint32_t argc, uint32_t flags = 0) {
  ss_exec_event_with_arguments whole{};
  const std::string argv0 = text.substr(0, text.find('\0'));
  whole.event.header.kind = SS_EVENT_EXEC;
  whole.event.filename_len = 7;
  std::memcpy(whole.event.tail, "/bin/sh", 7);
  whole.event.argv0_len = static_cast<uint16_t>(std::min<size_t>(argv0.size(), 119));
  std::memcpy(whole.event.tail + 7, argv0.data(), whole.event.argv0_len);
  whole.arguments.argc = argc;
  whole.arguments.flags = flags;
  whole.arguments.text_len = static_cast<uint32_t>(text.size());
  std::memcpy(whole.arguments.text, text.data(), text.size());
  const size_t size = offsetof(ss_exec_event_with_arguments, arguments.text) + text.size();
  whole.event.header.size = static_cast<uint16_t>(size);
  const auto* bytes = reinterpret_cast<const uint8_t*>(&whole);
  return {bytes, bytes + size};
}

ExecEvent Decode(const std::vector<uint8_t>& record) {
  Decoder decoder;
  const std::optional<Event> event = decoder.Decode({RecordOrigin::kRing, record});
  EXPECT_TRUE(event);
  return event ? *std::get<std::shared_ptr<const ExecEvent>>(event->payload) : ExecEvent{};
}

TEST(ExecRecordTest, SecretsAreNowhereInTheRecord) {
  const std::string text("token=alpha\0--key\0beta\0plain\0u://me:gamma@h\0", 44);
  const auto record = RedactExecRecord(ExecRecord(text, 5), *Create());
  ASSERT_TRUE(record);
  const std::string bytes(record->begin(), record->end());
  for (const char* secret : {"alpha", "beta", "gamma"}) {
    EXPECT_FALSE(absl::StrContains(bytes, secret)) << secret;
  }
  const ExecEvent exec = Decode(*record);
  EXPECT_EQ(exec.filename, "/bin/sh");
  EXPECT_EQ(exec.argv0, "token=[redacted]");
  ASSERT_TRUE(exec.arguments);
  EXPECT_THAT(exec.arguments->values, ElementsAre("token=[redacted]", "--key", "[redacted]",
                                                  "plain", "u://[redacted]@h"));
  EXPECT_EQ(exec.arguments->omitted, 0u);
}

TEST(ExecRecordTest, AnArgumentThatWasCutIsLeftOutAndCounted) {
  const std::string text("a\0b\0https://me:secr", 19);
  const auto record = RedactExecRecord(ExecRecord(text, 7, SS_ARGUMENTS_UNREADABLE), *Create());
  ASSERT_TRUE(record);
  EXPECT_FALSE(absl::StrContains(std::string(record->begin(), record->end()), "secr"));
  const ExecEvent exec = Decode(*record);
  EXPECT_THAT(exec.arguments->values, ElementsAre("a", "b"));
  EXPECT_EQ(exec.arguments->omitted, 5u);
  EXPECT_TRUE(exec.arguments->unreadable);
}

TEST(ExecRecordTest, EmptyArgumentsAndAnyBytesStay) {
  const std::string text("\0\xff\x01\0\0x\n\0", 8);
  const auto record = RedactExecRecord(ExecRecord(text, 4), *Create());
  ASSERT_TRUE(record);
  EXPECT_THAT(Decode(*record).arguments->values, ElementsAre("", "\xff\x01", "", "x\n"));
}

TEST(ExecRecordTest, OtherRecordsAreNotTouched) {
  ss_exit_event exit{};
  exit.header.kind = SS_EVENT_EXIT;
  const auto* bytes = reinterpret_cast<const uint8_t*>(&exit);
  EXPECT_FALSE(RedactExecRecord({bytes, sizeof(exit)}, *Create()));
  EXPECT_FALSE(RedactExecRecord({bytes, 3}, *Create()));
}

TEST(ExecRecordTest, AnyBytesAndWideningPatternsStayWithinBounds) {
  std::mt19937 random(1);
  const auto widening = Create({"."});
  for (int round = 0; round < 300; ++round) {
    std::string text(random() % (SS_ARGUMENTS_MAX + 1), 'a');
    for (char& c : text) c = random() % 3 == 0 ? '\0' : static_cast<char>(random());
    std::vector<uint8_t> record = ExecRecord(text, random());
    for (int i = 0; i < 4; ++i) record[2 + random() % 1100] = static_cast<uint8_t>(random());
    record.resize(random() % 2 == 0 ? record.size() : random() % (record.size() + 1));
    const auto redacted = RedactExecRecord(record, *widening);
    if (!redacted) continue;
    EXPECT_LT(redacted->size(), 65536u);
    Decoder decoder;
    (void)decoder.Decode({RecordOrigin::kRing, *redacted});
  }
}

}  // namespace
}  // namespace startscope
