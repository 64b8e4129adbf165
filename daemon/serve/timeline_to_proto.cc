// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "daemon/base/text_escape.h"
#include "daemon/serve/startup_to_proto.h"

namespace startscope {
namespace {

// Text of a timeline, escaped once instead of once an entry.
struct TimelineTexts {
  std::vector<std::string> objects;
  std::vector<std::string> symbols;

  explicit TimelineTexts(const Timeline& timeline) {
    for (const Timeline::Object& one : timeline.objects) objects.push_back(EscapeToUtf8(one.path));
    for (const std::string& name : timeline.symbols) symbols.push_back(EscapeToUtf8(name));
  }
  [[nodiscard]] std::string Object(uint32_t index) const {
    return index < objects.size() ? objects[index] : std::string();
  }
};

void ToProto(const FaultEntry& from, uint32_t tid, const TimelineTexts& texts, v1::FaultEntry* to) {
  to->set_address(from.address);
  to->set_instruction_address(from.ip);
  if (from.latency_ns) to->set_latency_ns(*from.latency_ns);
  to->set_major(from.major);
  to->set_kernel_mode(from.kernel_mode);
  to->set_write(from.write);
  to->set_instruction_fetch(from.instruction_fetch);
  to->set_object(texts.Object(from.object));
  to->set_file_offset(from.file_offset);
  to->set_tid(tid);
  if (from.symbol < texts.symbols.size()) to->set_symbol(texts.symbols[from.symbol]);
  to->set_instruction_object(texts.Object(from.ip_object));
  to->set_instruction_offset(from.ip_offset);
  to->set_access_known(from.access_known);
  if (from.runqueue_ns) to->set_runqueue_ns(*from.runqueue_ns);
  if (from.blocked_ns) to->set_blocked_ns(*from.blocked_ns);
  if (from.around_pages != 0) {
    to->mutable_around()->set_file_offset(from.around_offset);
    to->mutable_around()->set_pages(from.around_pages);
  }
}

void ToProto(const MappingEntry& from, const TimelineTexts& texts, v1::MappingEntry* to) {
  to->set_operation(ToEnum<v1::MappingOperation>(from.operation));
  to->set_address(from.address);
  to->set_size_bytes(from.size_bytes);
  to->set_object(texts.Object(from.object));
  to->set_file_offset(from.file_offset);
  const bool has_permissions = from.operation == MappingOperation::kMmap ||
                               from.operation == MappingOperation::kMprotect ||
                               from.operation == MappingOperation::kExec;
  if (has_permissions) to->set_permissions(Permissions(from.prot));
  if (from.duration_ns) to->set_duration_ns(*from.duration_ns);
  to->set_old_address(from.old_address);
  to->set_error(from.error);
}

void ToProto(const WaitEntry& from, const TimelineTexts& texts, v1::WaitEntry* to) {
  to->set_reason(ToEnum<v1::WaitReason>(from.reason));
  to->set_duration_ns(from.duration_ns);
  if (from.runqueue_ns) to->set_runqueue_ns(*from.runqueue_ns);
  to->set_object(texts.Object(from.object));
}

}  // namespace

void ToProto(const Timeline& from, size_t first, size_t count,
             google::protobuf::RepeatedPtrField<v1::TimelineEntry>* to) {
  const TimelineTexts texts(from);
  const size_t end = std::min(from.entries.size(), first + count);
  for (size_t i = first; i < end; ++i) {
    const TimelineEntry& entry = from.entries[i];
    v1::TimelineEntry* added = to->Add();
    added->set_offset_ns(entry.offset_ns);
    added->set_phase(ToEnum<v1::Phase>(entry.phase));
    added->set_tid(entry.tid);
    if (const auto* fault = std::get_if<FaultEntry>(&entry.entry)) {
      ToProto(*fault, entry.tid, texts, added->mutable_fault());
    } else if (const auto* mapping = std::get_if<MappingEntry>(&entry.entry)) {
      ToProto(*mapping, texts, added->mutable_mapping());
    } else if (const auto* mark = std::get_if<SubMark>(&entry.entry)) {
      ToProto(*mark, added->mutable_mark());
    } else if (const auto* wait = std::get_if<WaitEntry>(&entry.entry)) {
      ToProto(*wait, texts, added->mutable_wait());
    }
  }
}

}  // namespace startscope
