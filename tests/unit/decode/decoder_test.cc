// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/decode/decoder.h"

#include <gtest/gtest.h>
#include <linux/perf_event.h>

#include <cstring>
#include <random>
#include <vector>

#include "bpf/event.h"
#include "daemon/decode/image_codec.h"

namespace startscope {
namespace {

template <typename T>
std::vector<uint8_t> BytesOf(const T& value, size_t size = sizeof(T)) {
  std::vector<uint8_t> bytes(size);
  std::memcpy(bytes.data(), &value, size);
  return bytes;
}

RawRecord Ring(const std::vector<uint8_t>& bytes) { return {RecordOrigin::kRing, bytes}; }

ss_exec_event ExecRecord() {
  ss_exec_event exec{};
  exec.header = {.kind = SS_EVENT_EXEC,
                 .size = 0,
                 .cpu = 1,
                 .boottime_ns = 1000,
                 .tgid = 42,
                 .tid = 42,
                 .start_boottime_ns = 900};
  exec.begin_boottime_ns = 950;
  exec.begin_source = SS_BEGIN_PREPARE_EXEC;
  exec.flags = SS_EXEC_INTERPRETED;
  std::memcpy(exec.comm, "script.sh", 10);
  std::memcpy(exec.tail, "/tmp/script.sh/bin/shsh", 23);
  exec.filename_len = 14;
  exec.interp_len = 7;
  exec.argv0_len = 2;
  exec.header.size = offsetof(ss_exec_event, tail) + 23;
  return exec;
}

TEST(DecoderTest, ReadsAnExecAndItsTail) {
  Decoder decoder;
  const auto event = decoder.Decode(Ring(BytesOf(ExecRecord())));
  ASSERT_TRUE(event);
  EXPECT_EQ(event->pid, 42u);
  EXPECT_EQ(event->start_boottime_ns, 900u);
  const auto& exec = *std::get<std::shared_ptr<const ExecEvent>>(event->payload);
  EXPECT_EQ(exec.comm, "script.sh");
  EXPECT_EQ(exec.filename, "/tmp/script.sh");
  EXPECT_EQ(exec.interpreter, "/bin/sh");
  EXPECT_EQ(exec.argv0, "sh");
  EXPECT_TRUE(exec.interpreted);
}

TEST(DecoderTest, RefusesTextThatPointsOutsideTheRecord) {
  Decoder decoder;
  ss_exec_event exec = ExecRecord();
  exec.argv0_len = 600;
  EXPECT_FALSE(decoder.Decode(Ring(BytesOf(exec))));
  EXPECT_EQ(decoder.bad(BadRecord::kBadText), 1u);
}

TEST(DecoderTest, AcceptsRecordsThatGrewAtTheirEnd) {
  Decoder decoder;
  ss_fault_event fault{};
  fault.header.kind = SS_EVENT_FAULT;
  fault.header.size = sizeof(fault) + 16;
  std::vector<uint8_t> bytes = BytesOf(fault);
  bytes.resize(bytes.size() + 16);
  EXPECT_TRUE(decoder.Decode(Ring(bytes)));
}

TEST(DecoderTest, CountsBadRecordsByReason) {
  Decoder decoder;
  ss_fault_event fault{};
  fault.header.kind = SS_EVENT_FAULT;
  fault.header.size = sizeof(ss_event_header);
  EXPECT_FALSE(decoder.Decode(Ring(BytesOf(fault))));
  fault.header.size = sizeof(fault) + 8;
  EXPECT_FALSE(decoder.Decode(Ring(BytesOf(fault))));
  fault.header.kind = 77;
  EXPECT_FALSE(decoder.Decode(Ring(BytesOf(fault))));
  EXPECT_FALSE(decoder.Decode(Ring(BytesOf(fault, 7))));
  EXPECT_FALSE(decoder.Decode({static_cast<RecordOrigin>(99), {}}));
  EXPECT_EQ(decoder.bad(BadRecord::kTooShort), 2u);
  EXPECT_EQ(decoder.bad(BadRecord::kSizeMismatch), 1u);
  EXPECT_EQ(decoder.bad(BadRecord::kUnknownKind), 1u);
  EXPECT_EQ(decoder.bad(BadRecord::kUnknownOrigin), 1u);
  EXPECT_EQ(decoder.bad_total(), 5u);
}

ss_event_header HeaderOf(uint16_t kind, size_t size) {
  return {.kind = kind,
          .size = static_cast<uint16_t>(size),
          .cpu = 1,
          .boottime_ns = 1000,
          .tgid = 42,
          .tid = 43,
          .start_boottime_ns = 900};
}

TEST(DecoderTest, ReadsPagesWaitsAndSamples) {
  Decoder decoder;
  ss_pages_read_event pages{};
  pages.header = HeaderOf(SS_EVENT_PAGES_READ, sizeof(pages));
  pages.first_boottime_ns = 950;
  pages.inode = 7;
  pages.dev_major = 8;
  pages.dev_minor = 1;
  pages.first_page = 16;
  pages.pages = 32;
  auto event = decoder.Decode(Ring(BytesOf(pages)));
  ASSERT_TRUE(event);
  EXPECT_EQ(event->tid, 43u);
  const auto& read = std::get<PagesReadEvent>(event->payload);
  EXPECT_EQ(read.file, (FileId{8, 1, 7}));
  EXPECT_EQ(read.first_page, 16u);
  EXPECT_EQ(read.pages, 32u);

  ss_wait_event wait{};
  wait.header = HeaderOf(SS_EVENT_WAIT, sizeof(wait));
  wait.out_boottime_ns = 700;
  wait.wake_boottime_ns = 980;
  wait.reason = SS_WAIT_IO;
  event = decoder.Decode(Ring(BytesOf(wait)));
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<WaitEvent>(event->payload).reason, WaitReason::kIo);
  EXPECT_EQ(std::get<WaitEvent>(event->payload).wake_boottime_ns, 980u);

  ss_sample_event sample{};
  sample.header = HeaderOf(SS_EVENT_SAMPLE, sizeof(sample));
  sample.ip = 0x1234;
  sample.flags = SS_SAMPLE_CPUID;
  event = decoder.Decode(Ring(BytesOf(sample)));
  ASSERT_TRUE(event);
  EXPECT_TRUE(std::get<SampleEvent>(event->payload).after_cpuid);
  EXPECT_FALSE(std::get<SampleEvent>(event->payload).kernel_mode);
}

// Header, fixed part, then the path.
std::vector<uint8_t> SyscallRecord(const std::string& path, uint32_t path_len) {
  ss_syscall_event call{};
  call.header = HeaderOf(SS_EVENT_SYSCALL, sizeof(call) + path.size());
  call.result = -2;
  call.number = 257;
  call.path_len = path_len;
  std::vector<uint8_t> bytes = BytesOf(call);
  bytes.insert(bytes.end(), path.begin(), path.end());
  return bytes;
}

TEST(DecoderTest, ReadsACallThatLookedInVain) {
  Decoder decoder;
  const auto event = decoder.Decode(Ring(SyscallRecord("/lib/none.so", 12)));
  ASSERT_TRUE(event);
  const auto& call = std::get<SyscallEvent>(event->payload);
  EXPECT_EQ(call.result, -2);
  EXPECT_EQ(call.number, 257u);
  EXPECT_EQ(call.path, "/lib/none.so");
}

TEST(DecoderTest, ACallsPathNeverReachesBeyondItsRecord) {
  Decoder decoder;
  for (const uint32_t claimed : {13u, 4096u, 0xffffffffu}) {
    const auto event = decoder.Decode(Ring(SyscallRecord("/lib/none.so", claimed)));
    if (!event) continue;  // refused is as good
    EXPECT_LE(std::get<SyscallEvent>(event->payload).path.size(), 12u);
  }
}

TEST(DecoderTest, EveryKindIsRefusedWhenItIsCutShort) {
  for (uint16_t kind = 1; kind < SS_EVENT_KIND_COUNT; ++kind) {
    Decoder decoder;
    const ss_event_header header = HeaderOf(kind, sizeof(ss_event_header));
    EXPECT_FALSE(decoder.Decode(Ring(BytesOf(header)))) << kind;
    EXPECT_EQ(decoder.bad_total(), 1u) << kind;
  }
}

TEST(DecoderTest, SplitsACookieIntoImageAndKind) {
  Decoder decoder;
  ss_mark_event mark{};
  mark.header.kind = SS_EVENT_MARK;
  mark.header.size = sizeof(mark);
  mark.cookie = 7u << 8 | SS_COOKIE_ENDS_STARTUP | SS_MARK_MAIN;
  const auto event = decoder.Decode(Ring(BytesOf(mark)));
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<MarkEvent>(event->payload).kind, MarkKind::kMain);
  EXPECT_EQ(std::get<MarkEvent>(event->payload).image, 7u);
}

TEST(DecoderTest, MarkKindsEqualTheAbi) {
  EXPECT_EQ(static_cast<int>(MarkKind::kLoaderEntry), SS_MARK_LOADER_ENTRY);
  EXPECT_EQ(static_cast<int>(MarkKind::kDependenciesBegin), SS_MARK_DEPENDENCIES_BEGIN);
  EXPECT_EQ(static_cast<int>(MarkKind::kRelocated), SS_MARK_RELOCATED);
  EXPECT_EQ(static_cast<int>(MarkKind::kEntry), SS_MARK_ENTRY);
  EXPECT_EQ(static_cast<int>(MarkKind::kLibcStart), SS_MARK_LIBC_START);
  EXPECT_EQ(static_cast<int>(MarkKind::kMain), SS_MARK_MAIN);
  EXPECT_EQ(static_cast<int>(MarkKind::kGoSchedinit), SS_MARK_GO_SCHEDINIT);
  EXPECT_EQ(static_cast<int>(MarkKind::kGoRuntimeMain), SS_MARK_GO_RUNTIME_MAIN);
  EXPECT_EQ(static_cast<int>(MarkKind::kRustLangStart), SS_MARK_RUST_LANG_START);
  EXPECT_EQ(static_cast<int>(MarkKind::kDependenciesMapped), SS_MARK_DEPENDENCIES_MAPPED);
  EXPECT_EQ(static_cast<int>(MarkKind::kSelfRelocated), SS_MARK_SELF_RELOCATED);
}

std::vector<uint8_t> MmapRecord(const std::string& path) {
  struct {
    perf_event_header header;
    uint32_t pid = 5, tid = 6;
    uint64_t address = 0x1000, size = 0x2000, offset = 0x3000;
    uint32_t major = 8, minor = 1;
    uint64_t inode = 99, generation = 0;
    uint32_t prot = 5, flags = 2;
  } body{};
  struct {
    uint32_t pid = 5, tid = 6;
    uint64_t time = 12345;
    uint32_t cpu = 1, reserved = 0;
  } sample;
  const size_t name_bytes = (path.size() / 8 + 1) * 8;
  body.header = {PERF_RECORD_MMAP2, 0,
                 static_cast<uint16_t>(sizeof(body) + name_bytes + sizeof(sample))};
  std::vector<uint8_t> bytes(body.header.size);
  std::memcpy(bytes.data(), &body, sizeof(body));
  std::memcpy(bytes.data() + sizeof(body), path.data(), path.size());
  std::memcpy(bytes.data() + sizeof(body) + name_bytes, &sample, sizeof(sample));
  return bytes;
}

TEST(DecoderTest, ReadsAMappingFromTheSideband) {
  Decoder decoder;
  const auto bytes = MmapRecord("/usr/lib/libc.so.6");
  const auto event = decoder.Decode({RecordOrigin::kSideband, bytes});
  ASSERT_TRUE(event);
  EXPECT_EQ(event->boottime_ns, 12345u);
  EXPECT_EQ(event->pid, 5u);
  EXPECT_EQ(event->cpu, 1u);
  const auto& mapping = std::get<MappingEvent>(event->payload);
  EXPECT_EQ(mapping.path, "/usr/lib/libc.so.6");
  EXPECT_EQ(mapping.file, (FileId{8, 1, 99}));
  EXPECT_EQ(mapping.file_offset, 0x3000u);
}

TEST(DecoderTest, NothingOfTheEventBeforeRemainsInTheSamePlace) {
  Decoder decoder;
  Event reused;
  const auto exec = BytesOf(ExecRecord());
  const auto long_path = MmapRecord("/usr/lib/x86_64-linux-gnu/libstdc++.so.6");
  const auto no_path = MmapRecord("");
  const auto call = SyscallRecord("/lib/none.so", 12);
  for (const RawRecord& record :
       {Ring(exec), RawRecord{RecordOrigin::kSideband, long_path},
        RawRecord{RecordOrigin::kSideband, no_path}, Ring(call), Ring(exec),
        RawRecord{RecordOrigin::kSideband, no_path}}) {
    ASSERT_TRUE(decoder.Decode(record, &reused));
    const std::optional<Event> fresh = decoder.Decode(record);
    ASSERT_TRUE(fresh);
    EXPECT_EQ(reused.boottime_ns, fresh->boottime_ns);
    EXPECT_EQ(reused.start_boottime_ns, fresh->start_boottime_ns);
    ASSERT_EQ(reused.payload.index(), fresh->payload.index());
    const auto* mapping = std::get_if<MappingEvent>(&reused.payload);
    if (mapping == nullptr) continue;
    EXPECT_EQ(mapping->path, std::get<MappingEvent>(fresh->payload).path);
    EXPECT_EQ(mapping->file, std::get<MappingEvent>(fresh->payload).file);
  }
}

TEST(DecoderTest, RandomBytesNeverDoHarm) {
  std::mt19937 random(7);
  Decoder decoder;
  for (int round = 0; round < 20000; ++round) {
    std::vector<uint8_t> bytes(random() % 300);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    if (bytes.size() > 4) {
      bytes[0] = static_cast<uint8_t>(random() % 12);
      bytes[1] = 0;
      bytes[2] = static_cast<uint8_t>(bytes.size());
      bytes[3] = static_cast<uint8_t>(bytes.size() >> 8);
    }
    const auto origin = static_cast<RecordOrigin>(1 + random() % 7);
    static_cast<void>(decoder.Decode({origin, bytes}));
  }
  EXPECT_GT(decoder.bad_total(), 0u);
}

TEST(ImageCodecTest, RoundTripsEveryField) {
  auto facts = std::make_shared<ImageFacts>();
  facts->file = {8, 1, 77};
  facts->path = "/bin/x";
  facts->kind = ImageKind::kExecutable;
  facts->is_64_bit = true;
  facts->entry_address = 0x1234;
  facts->main_address = 0x2345;
  facts->needed = {"libc.so.6", "libm.so.6"};
  facts->segments = {{0x1000, 0x200, 0, 0x180, true, false, true}};
  facts->libc = Libc::kMusl;
  facts->linkage = Linkage::kStaticPie;
  facts->language = Language::kRust;
  facts->sites = {{MarkKind::kMain, SiteRung::kCallSite, StepCost::kEmulated, 0x99, 0x1099, 4, "main"}};
  facts->evidence = "because";
  ImageEvent event{3, facts, 0x40, 555, "half", true};
  const auto decoded = DecodeImageEvent(EncodeImageEvent(event));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->image, 3u);
  EXPECT_EQ(decoded->attached_marks, 0x40u);
  EXPECT_EQ(decoded->attached_boottime_ns, 555u);
  EXPECT_EQ(decoded->attach_error, "half");
  EXPECT_TRUE(decoded->forgotten);
  EXPECT_EQ(decoded->facts->file, facts->file);
  EXPECT_EQ(decoded->facts->needed, facts->needed);
  EXPECT_EQ(decoded->facts->language, Language::kRust);
  ASSERT_EQ(decoded->facts->sites.size(), 1u);
  EXPECT_EQ(decoded->facts->sites[0].symbol, "main");
  EXPECT_EQ(decoded->facts->segments[0].file_bytes, 0x180u);
  EXPECT_EQ(EncodeImageEvent(*decoded), EncodeImageEvent(event));
}

TEST(ImageCodecTest, RoundTripsSymbolsAndRefusesEveryTruncation) {
  SymbolsEvent event;
  event.file = {8, 1, 99};
  event.symbols = {{0x1000, "main"}, {0x2000, ""}, {0x3000, std::string(300, 'x')}};
  const std::vector<uint8_t> bytes = EncodeSymbolsEvent(event);
  const auto again = DecodeSymbolsEvent(bytes);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->file, event.file);
  ASSERT_EQ(again->symbols.size(), 3u);
  EXPECT_EQ(again->symbols[0].name, "main");
  EXPECT_EQ(again->symbols[2].file_offset, 0x3000u);
  EXPECT_EQ(again->symbols[2].name, event.symbols[2].name);
  EXPECT_FALSE(DecodeImageEvent(bytes));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeSymbolsEvent(std::span(bytes).first(size))) << size;
  }
}

TEST(ImageCodecTest, RefusesEveryTruncation) {
  ImageEvent event;
  auto facts = std::make_shared<ImageFacts>();
  facts->needed = {"a", "bb"};
  event.facts = facts;
  const std::vector<uint8_t> whole = EncodeImageEvent(event);
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(DecodeImageEvent({whole.data(), size})) << size;
  }
}

}  // namespace
}  // namespace startscope
