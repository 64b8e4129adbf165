// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/redact/exec_record.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "bpf/event.h"
#include "daemon/base/nul_separated.h"

namespace startscope {
namespace {

constexpr size_t kTail = offsetof(ss_exec_event, tail);
constexpr size_t kText = offsetof(ss_exec_event_with_arguments, arguments.text);
constexpr size_t kMaxText = 60000;  // a record states its size in 16 bits

// Puts `name` where argv[0] stands behind the file names.
void SetArgv0(const std::string& name, ss_exec_event* event) {
  const size_t at = std::min<size_t>(size_t{event->filename_len} + event->interp_len,
                                     sizeof(event->tail));
  std::memset(event->tail + at, 0, sizeof(event->tail) - at);
  const size_t length = std::min(name.size(), sizeof(event->tail) - at);
  std::memcpy(event->tail + at, name.data(), length);
  event->argv0_len = static_cast<uint16_t>(length);
}

std::string Argv0Of(const ss_exec_event& event) {
  const size_t at = size_t{event.filename_len} + event.interp_len;
  if (at + event.argv0_len > sizeof(event.tail)) return {};
  return std::string(event.tail + at, event.argv0_len);
}

}  // namespace

std::optional<std::vector<uint8_t>> RedactExecRecord(std::span<const uint8_t> record,
                                                     const ArgumentRedactor& redactor) {
  ss_exec_event event{};
  std::memcpy(&event, record.data(), std::min(record.size(), sizeof(event)));
  if (record.size() < sizeof(ss_event_header) || event.header.kind != SS_EVENT_EXEC) {
    return std::nullopt;
  }
  if (record.size() < kText) {  // argv[0] is all there is
    SetArgv0(redactor.Redact({Argv0Of(event)})[0], &event);
    const size_t size = std::min(kTail + event.filename_len + event.interp_len + event.argv0_len,
                                 sizeof(event));
    event.header.size = static_cast<uint16_t>(size);
    const auto* bytes = reinterpret_cast<const uint8_t*>(&event);
    return std::vector<uint8_t>(bytes, bytes + size);
  }
  ss_exec_arguments arguments{};
  constexpr size_t kFixed = offsetof(ss_exec_arguments, text);
  std::memcpy(&arguments, record.data() + sizeof(event), kFixed);
  const std::string_view text(reinterpret_cast<const char*>(record.data()) + kText,
                              std::min<size_t>(arguments.text_len, record.size() - kText));
  const std::vector<std::string> kept = redactor.Redact(SplitNulTerminated(text));
  std::string joined;
  for (const std::string& argument : kept) {
    if (joined.size() + argument.size() + 1 > kMaxText) break;
    joined += argument;
    joined += '\0';
  }
  SetArgv0(kept.empty() ? std::string() : kept[0].substr(0, 119), &event);
  arguments.text_len = static_cast<uint32_t>(joined.size());
  event.header.size = static_cast<uint16_t>(kText + joined.size());
  std::vector<uint8_t> bytes(kText + joined.size());
  std::memcpy(bytes.data(), &event, sizeof(event));
  std::memcpy(bytes.data() + sizeof(event), &arguments, kFixed);
  std::memcpy(bytes.data() + kText, joined.data(), joined.size());
  return bytes;
}

}  // namespace startscope
