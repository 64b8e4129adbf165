// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/trace_builder.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/export/cut_text.h"
#include "client/export/enum_label.h"
#include "client/render/names.h"

namespace startscope {
namespace {

using namespace startscope::v1;  // NOLINT: message types and enumerators

using Attributes = google::protobuf::RepeatedPtrField<otlp::KeyValue>;

// Trace flags: sampled, and the last 56 bits of the trace id are random.
constexpr uint32_t kTraceFlags = 0x03;
constexpr int kMaxArguments = 64;
// There are eight phases, and each is there once: more is nonsense that is not multiplied here.
constexpr int kMaxPhases = 64;
constexpr uint64_t kNsPerSecond = 1'000'000'000;

// Fowler, Noll and Vo's hash, whose weak low bits a round of multiplying and shifting (as in
// splitmix64) makes as good as the others. Ids have to differ, not to be unguessable.
uint64_t Hash(absl::string_view text, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325 ^ seed;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
  return hash ^ (hash >> 31);
}

std::string BigEndian(uint64_t value) {
  std::string bytes(8, '\0');
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(value >> (56 - 8 * i));
  return bytes;
}

// All zeros is no id.
std::string SpanIdOf(absl::string_view trace_id, uint64_t number) {
  return BigEndian(std::max<uint64_t>(Hash(trace_id, number + 1), 1));
}

// No time is after the last one that can be told, whatever a startup says.
uint64_t Later(uint64_t at_ns, uint64_t by_ns) {
  return at_ns + std::min(by_ns, std::numeric_limits<uint64_t>::max() - at_ns);
}

uint64_t UnixNs(const google::protobuf::Timestamp& time) {
  const auto seconds = static_cast<uint64_t>(std::max<int64_t>(time.seconds(), 0));
  const auto nanos = static_cast<uint64_t>(std::max<int32_t>(time.nanos(), 0));
  const uint64_t most = std::numeric_limits<uint64_t>::max() / kNsPerSecond;
  return Later(std::min(seconds, most) * kNsPerSecond, nanos);
}

void AddIf(bool measured, absl::string_view key, uint64_t value, Attributes* attributes) {
  if (measured) AddAttribute(key, static_cast<int64_t>(value), attributes);
}

void AddIfSet(absl::string_view key, absl::string_view value, Attributes* attributes) {
  if (!value.empty()) AddAttribute(key, value, attributes);
}

void AddDouble(absl::string_view key, double value, Attributes* attributes) {
  otlp::KeyValue& attribute = *attributes->Add();
  attribute.set_key(std::string(key));
  attribute.mutable_value()->set_double_value(value);
}

void AddList(absl::string_view key, const std::vector<std::string>& values,
             Attributes* attributes) {
  if (values.empty()) return;
  otlp::KeyValue& attribute = *attributes->Add();
  attribute.set_key(std::string(key));
  auto* list = attribute.mutable_value()->mutable_array_value();
  for (const std::string& value : values) {
    list->add_values()->set_string_value(CutText(value, kMaxAttributeBytes));
  }
}

void AddProcess(const Process& process, const TraceOptions& options, Attributes* attributes) {
  const std::string& path = process.executable();
  AddAttribute("process.pid", int64_t{process.pid()}, attributes);
  AddAttribute("process.parent_pid", int64_t{process.parent_pid()}, attributes);
  AddAttribute("process.user.id", int64_t{process.uid()}, attributes);
  AddIfSet("process.executable.name", path.substr(path.rfind('/') + 1), attributes);
  AddIfSet("process.executable.path", path, attributes);
  if (!process.argv().empty()) AddIfSet("process.command", process.argv(0), attributes);
  if (options.arguments) {
    const int count = std::min(process.argv_size(), kMaxArguments);
    AddList("process.command_args", {process.argv().begin(), process.argv().begin() + count},
            attributes);
  }
  AddIfSet("process.linux.cgroup", process.cgroup_path(), attributes);
  AddIfSet("container.id", process.container_id(), attributes);
  AddIfSet("k8s.pod.uid", process.pod().uid(), attributes);
  AddIfSet("k8s.pod.name", process.pod().name(), attributes);
  AddIfSet("k8s.namespace.name", process.pod().namespace_(), attributes);
  AddIfSet("k8s.container.name", process.pod().container_name(), attributes);
}

void AddStartup(const SampledStartup& sampled, Attributes* attributes) {
  const Startup& startup = sampled.startup;
  AddAttribute("startscope.startup.id", startup.startup_id(), attributes);
  AddAttribute("startscope.outcome", EnumLabel(Outcome_Name(startup.outcome()), "OUTCOME_"),
               attributes);
  const Runtime& runtime = startup.runtime();
  AddAttribute("startscope.libc", EnumLabel(Libc_Name(runtime.libc()), "LIBC_"), attributes);
  AddIfSet("startscope.libc.version", runtime.libc_version(), attributes);
  AddAttribute("startscope.linkage", EnumLabel(Linkage_Name(runtime.linkage()), "LINKAGE_"),
               attributes);
  AddAttribute("startscope.language", EnumLabel(Language_Name(runtime.language()), "LANGUAGE_"),
               attributes);
  AddAttribute("startscope.temperature",
               EnumLabel(StartTemperature_Name(startup.temperature()), "START_TEMPERATURE_"),
               attributes);
  const FaultTotals& faults = startup.faults();
  AddIf(faults.has_minor(), "startscope.page_faults.minor", faults.minor(), attributes);
  AddIf(faults.has_major(), "startscope.page_faults.major", faults.major(), attributes);
  AddIf(startup.storage().has_bytes(), "startscope.storage.read_bytes", startup.storage().bytes(),
        attributes);
  // Each once, and so no more than there are kinds.
  std::vector<std::string> degradations;
  for (const Degradation& degradation : startup.degradations()) {
    std::string kind = EnumLabel(DegradationKind_Name(degradation.kind()), "DEGRADATION_KIND_");
    if (std::find(degradations.begin(), degradations.end(), kind) == degradations.end()) {
      degradations.push_back(std::move(kind));
    }
  }
  AddList("startscope.degradations", degradations, attributes);
  AddAttribute("startscope.sampling.reason", SampleReasonName(sampled.reason), attributes);
  AddDouble("startscope.sampling.adjusted_count", 1 / sampled.probability, attributes);
}

// Those with the most fault time are first already.
void AddObjects(const Startup& startup, uint64_t begin_ns, const TraceOptions& options,
                otlp::Span* root) {
  const int shown = std::min<int>(startup.objects_size(), static_cast<int>(options.max_objects));
  for (int i = 0; i < shown; ++i) {
    const MappedObject& object = startup.objects(i);
    otlp::Event& event = *root->add_events();
    event.set_name("object");
    event.set_time_unix_nano(Later(begin_ns, object.map_offset_ns()));
    auto* attributes = event.mutable_attributes();
    AddIfSet("startscope.object.path", object.path(), attributes);
    AddIfSet("startscope.object.build_id", object.build_id(), attributes);
    AddAttribute("startscope.object.kind",
                 EnumLabel(ObjectKind_Name(object.kind()), "OBJECT_KIND_"), attributes);
    AddIf(true, "startscope.page_faults.minor", object.minor_faults(), attributes);
    AddIf(true, "startscope.page_faults.major", object.major_faults(), attributes);
    AddIf(object.has_fault_ns(), "startscope.fault_ns", object.fault_ns(), attributes);
    AddIf(object.has_mapping_ns(), "startscope.mapping_ns", object.mapping_ns(), attributes);
    AddIf(object.has_relocation_ns(), "startscope.relocation_ns", object.relocation_ns(),
          attributes);
    AddIf(object.has_constructor_ns(), "startscope.constructor_ns", object.constructor_ns(),
          attributes);
  }
  root->set_dropped_events_count(static_cast<uint32_t>(startup.objects_size() - shown));
}

void SetStatus(const SampledStartup& sampled, otlp::Span* root) {
  if (sampled.reason != SampleReason::kFailed) return;
  root->mutable_status()->set_code(otlp::STATUS_CODE_ERROR);
  root->mutable_status()->set_message(OutcomeWord(sampled.startup));
}

void FillPhase(const PhaseSlice& slice, uint64_t begin_ns, otlp::Span* span) {
  span->set_name(EnumLabel(Phase_Name(slice.phase()), "PHASE_"));
  span->set_start_time_unix_nano(Later(begin_ns, slice.offset_ns()));
  span->set_end_time_unix_nano(Later(span->start_time_unix_nano(), slice.duration_ns()));
  auto* attributes = span->mutable_attributes();
  AddIf(slice.has_on_cpu_ns(), "startscope.on_cpu_ns", slice.on_cpu_ns(), attributes);
  AddIf(slice.has_runqueue_ns(), "startscope.run_queue_ns", slice.runqueue_ns(), attributes);
  AddIf(slice.has_blocked_ns(), "startscope.blocked_ns", slice.blocked_ns(), attributes);
  AddIf(slice.has_fault_ns(), "startscope.fault_ns", slice.fault_ns(), attributes);
  AddIf(slice.has_minor_faults(), "startscope.page_faults.minor", slice.minor_faults(), attributes);
  AddIf(slice.has_major_faults(), "startscope.page_faults.major", slice.major_faults(), attributes);
  // How far to trust where it ends; where it begins is where the one before ends.
  AddAttribute("startscope.end_source",
               EnumLabel(BoundarySource_Name(slice.end_source()), "BOUNDARY_SOURCE_"), attributes);
}

}  // namespace

void AddAttribute(absl::string_view key, absl::string_view value, Attributes* attributes) {
  otlp::KeyValue& attribute = *attributes->Add();
  attribute.set_key(std::string(key));
  attribute.mutable_value()->set_string_value(CutText(std::string(value), kMaxAttributeBytes));
}

void AddAttribute(absl::string_view key, int64_t value, Attributes* attributes) {
  otlp::KeyValue& attribute = *attributes->Add();
  attribute.set_key(std::string(key));
  attribute.mutable_value()->set_int_value(value);
}

std::string TraceIdOf(const Startup& startup, absl::string_view machine) {
  const std::string identity =
      absl::StrCat(machine, "\n", startup.startup_id(), "\n", startup.begin_boottime_ns());
  return BigEndian(Hash(identity, 1)) + BigEndian(std::max<uint64_t>(Hash(identity, 2), 1));
}

uint64_t RandomnessOf(absl::string_view trace_id) {
  uint64_t randomness = 0;
  for (const char c : trace_id.substr(9)) randomness = randomness << 8 | static_cast<uint8_t>(c);
  return randomness;
}

google::protobuf::RepeatedPtrField<otlp::Span> BuildTrace(const SampledStartup& sampled,
                                                          absl::string_view trace_id,
                                                          const TraceOptions& options) {
  const Startup& startup = sampled.startup;
  const uint64_t begin_ns = UnixNs(startup.exec_time());
  const std::string root_id = SpanIdOf(trace_id, 0);
  const std::string state = SamplingTraceState(sampled.probability);
  google::protobuf::RepeatedPtrField<otlp::Span> spans;
  const int phases = std::min(startup.phases_size(), kMaxPhases);
  spans.Reserve(phases + 1);
  const auto add = [&](uint64_t number) {
    otlp::Span* span = spans.Add();
    span->set_trace_id(std::string(trace_id));
    span->set_span_id(SpanIdOf(trace_id, number));
    span->set_trace_state(state);
    if (number > 0) span->set_parent_span_id(root_id);
    span->set_kind(otlp::SPAN_KIND_INTERNAL);
    span->set_flags(kTraceFlags);
    return span;
  };
  otlp::Span* root = add(0);
  root->set_name("startup");
  root->set_start_time_unix_nano(begin_ns);
  root->set_end_time_unix_nano(Later(begin_ns, startup.total_ns()));
  AddProcess(startup.process(), options, root->mutable_attributes());
  for (const MappedObject& object : startup.objects()) {
    if (object.kind() != OBJECT_KIND_EXECUTABLE) continue;
    AddIfSet("process.executable.build_id.gnu", object.build_id(), root->mutable_attributes());
    break;
  }
  AddStartup(sampled, root->mutable_attributes());
  AddObjects(startup, begin_ns, options, root);
  SetStatus(sampled, root);
  for (int i = 0; i < phases; ++i) {
    FillPhase(startup.phases(i), begin_ns, add(static_cast<uint64_t>(i) + 1));
  }
  return spans;
}

}  // namespace startscope
