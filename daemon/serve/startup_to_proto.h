// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The only place where model structs become wire messages: startups here, their timelines in
// timeline_to_proto.cc, the daemon's status in status_to_proto.cc.

#ifndef STARTSCOPE_DAEMON_SERVE_STARTUP_TO_PROTO_H_
#define STARTSCOPE_DAEMON_SERVE_STARTUP_TO_PROTO_H_

#include <cstdint>
#include <string>

#include "daemon/model/startup.h"
#include "daemon/model/startup_listener.h"
#include "daemon/serve/cgroup_resolver.h"
#include "daemon/serve/watch_controller.h"
#include "startscope/v1/startup.pb.h"
#include "startscope/v1/startup_service.pb.h"

namespace startscope {

// Enumerations of model and wire have the same values.
template <typename Wire, typename Own>
Wire ToEnum(Own own) {
  return static_cast<Wire>(static_cast<int>(own));
}

struct ProtoContext {
  // What to add to boot time for wall-clock time.
  int64_t realtime_minus_boottime_ns = 0;
  const CgroupResolver* cgroups = nullptr;  // nullptr: no paths
};

// Entries of a timeline in one message, so that it stays below the 4 MiB that gRPC clients take by
// default, and in a stream of chunks.
inline constexpr uint32_t kTimelineInline = 8192;
inline constexpr uint32_t kTimelineStreamed = 262144;
inline constexpr uint32_t kTimelineChunk = 2048;

struct StartupView {
  Level level = Level::kPhases;  // parts above it are left out
  bool brief = false;            // as in lists: without objects
  bool link_facts = false;       // how each object was linked
  uint32_t timeline_limit = kTimelineInline;
  // The timeline is sent in chunks: it is counted against the limit, and left out.
  bool timeline_apart = false;
};
void ToProto(const Startup& from, const StartupView& view, const ProtoContext& context,
             v1::Startup* to);
void ToProto(const StuckStartup& from, const ProtoContext& context, v1::StartupStuck* to);
void ToProto(const ThrottledGroup& from, const ProtoContext& context, v1::Throttled* to);
void ToProto(const LoaderActivity& from, const ProtoContext& context, v1::LoaderEvent* to);
// Entries [first, first + count) of a timeline, as far as there are.
void ToProto(const Timeline& from, size_t first, size_t count,
             google::protobuf::RepeatedPtrField<v1::TimelineEntry>* to);
// MAJOR:MINOR.
std::string DeviceText(const FileId& file);
// As in /proc/PID/maps: `r-x`.
const char* Permissions(uint32_t prot);
// Of x86-64; `syscall_N` for one that is not known.
std::string SyscallName(uint32_t number);
void ToProto(const RuntimeInfo& from, v1::Runtime* to);
void ToProto(const SubMark& from, v1::SubMark* to);
void ToProto(const PhaseSlice& from, v1::PhaseSlice* to);
void ToProto(const Degradation& from, v1::Degradation* to);
void ToProto(const DaemonStatus& from, v1::GetStatusResponse* to);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_STARTUP_TO_PROTO_H_
