// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/serve/startup_service.h"

#include <grpc/grpc_security_constants.h>

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "daemon/base/clock.h"
#include "daemon/serve/process_now.h"
#include "daemon/serve/startup_to_proto.h"
#include "daemon/serve/watch_request.h"

namespace startscope {
namespace {

constexpr int kDefaultPage = 50;
constexpr int kMaxPage = 500;
// How often a stream looks whether its client has gone.
constexpr absl::Duration kCancelCheck = absl::Milliseconds(10);

grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(static_cast<int>(status.code())),
          std::string(status.message())};
}

void FillPrivileges(const PrivilegeReport& from, v1::PrivilegeStatus* to) {
  to->set_uid(from.uid);
  to->set_gid(from.gid);
  for (const std::string& name : from.capabilities) to->add_capabilities(name);
  for (const std::string& reason : from.reasons) to->add_reasons(reason);
  to->set_no_new_privileges(from.no_new_privileges);
  to->set_seccomp(from.seccomp);
}

}  // namespace

// One WatchStartups call: writes messages with a gap-free sequence.
class StartupServiceImpl::Stream {
 public:
  Stream(grpc::ServerWriter<v1::WatchStartupsResponse>* writer, grpc_call* call,
         WriteWatchdog* watchdog, const WatchSpec& spec, const v1::WatchStartupsRequest& request,
         const CgroupResolver* cgroups)
      : writer_(writer), call_(call), watchdog_(watchdog), caller_(spec.peer) {
    context_.cgroups = cgroups;
    view_.level = spec.level;
    view_.link_facts = request.link_facts() || spec.level >= Level::kFunctions;
    view_.timeline_apart = request.stream_timeline();
    view_.timeline_limit = view_.timeline_apart ? kTimelineStreamed : kTimelineInline;
    if (request.timeline_limit() != 0) view_.timeline_limit = request.timeline_limit();
  }

  bool SendArmed(const std::string& version, const WatchSpec& spec, const ArmedWatch& armed) {
    v1::WatchStartupsResponse response;
    v1::Armed* message = response.mutable_armed();
    message->set_daemon_version(version);
    message->set_level(static_cast<v1::Level>(spec.level));
    message->set_precision(static_cast<v1::Precision>(spec.precision));
    message->set_boottime_ns(armed.boottime_ns);
    for (const Degradation& degradation : armed.degradations) {
      ToProto(degradation, message->add_degradations());
    }
    return Send(&response);
  }

  // `more`: another item will be sent right after this one, so that they may share a write.
  bool SendItem(const HubItem& item, uint64_t dropped, bool more) {
    context_.realtime_minus_boottime_ns = RealtimeMinusBoottimeNs();
    v1::WatchStartupsResponse response;
    if (const auto* finished = std::get_if<FinishedItem>(&item)) {
      if (view_.timeline_apart && !SendTimeline(*finished->startup)) return false;
      ToProto(*finished->startup, view_, context_, response.mutable_startup_finished());
      ++delivered_;
    } else if (const auto* started = std::get_if<StartedItem>(&item)) {
      v1::Startup whole;
      ToProto(*started->startup, {.level = view_.level, .brief = true}, context_, &whole);
      v1::StartupStarted* message = response.mutable_startup_started();
      message->set_startup_id(whole.startup_id());
      *message->mutable_process() = whole.process();
      *message->mutable_exec_time() = whole.exec_time();
      message->set_begin_boottime_ns(whole.begin_boottime_ns());
    } else if (const auto* phase = std::get_if<PhaseItem>(&item)) {
      response.mutable_phase_finished()->set_startup_id(phase->startup_id);
      ToProto(phase->slice, response.mutable_phase_finished()->mutable_slice());
    } else if (const auto* lost = std::get_if<LostItem>(&item)) {
      response.mutable_records_lost()->set_stage(static_cast<v1::LossStage>(lost->stage));
      response.mutable_records_lost()->set_count(lost->count);
      response.mutable_records_lost()->set_total(lost->total);
    } else if (const auto* loader = std::get_if<LoaderItem>(&item)) {
      ToProto(*loader->activity, context_, response.mutable_loader_event());
    } else if (const auto* stuck = std::get_if<StuckItem>(&item)) {
      StuckStartup now = *stuck->stuck;
      DescribeProcessNow(caller_, !more, &now);
      ToProto(now, context_, response.mutable_startup_stuck());
    }
    dropped_ = dropped;
    return Send(&response, more);
  }

  bool SendHeartbeat() {
    v1::WatchStartupsResponse response;
    v1::Heartbeat* message = response.mutable_heartbeat();
    message->set_boottime_ns(BoottimeNs());
    message->set_startups_delivered(delivered_);
    message->set_startups_dropped(dropped_);
    return Send(&response);
  }

 private:
  bool SendTimeline(const Startup& startup) {
    if (view_.level < Level::kPages || !startup.timeline) return true;
    const Timeline& timeline = *startup.timeline;
    const size_t count = std::min<size_t>(timeline.entries.size(), view_.timeline_limit);
    for (size_t first = 0; first < count; first += kTimelineChunk) {
      v1::WatchStartupsResponse response;
      v1::TimelineChunk* chunk = response.mutable_timeline_chunk();
      chunk->set_startup_id(startup.startup_id);
      chunk->set_first(first);
      ToProto(timeline, first, std::min<size_t>(kTimelineChunk, count - first),
              chunk->mutable_entries());
      if (!Send(&response)) return false;
    }
    return true;
  }

  bool Send(v1::WatchStartupsResponse* response, bool more = false) {
    response->set_sequence(++sequence_);
    grpc::WriteOptions options;
    if (more) options.set_buffer_hint();
    const WriteWatchdog::Write write(watchdog_, call_);
    return writer_->Write(*response, options);
  }

  grpc::ServerWriter<v1::WatchStartupsResponse>* const writer_;
  grpc_call* const call_;
  WriteWatchdog* const watchdog_;
  const PeerIdentity caller_;
  StartupView view_;
  ProtoContext context_;
  uint64_t sequence_ = 0;
  uint64_t delivered_ = 0;
  uint64_t dropped_ = 0;
};

StartupServiceImpl::StartupServiceImpl(const ServiceOptions& options, Hub* hub,
                                       WatchController* controller, const PeerRegistry* peers,
                                       const CgroupResolver* cgroups)
    : options_(options),
      hub_(hub),
      controller_(controller),
      peers_(peers),
      cgroups_(cgroups),
      started_boottime_ns_(BoottimeNs()),
      watchdog_(options.write_timeout) {}

absl::StatusOr<PeerIdentity> StartupServiceImpl::PeerOf(const grpc::ServerContext& context) const {
  const std::shared_ptr<const grpc::AuthContext> certificate = context.auth_context();
  if (certificate && certificate->IsPeerAuthenticated()) {
    const auto names = [&](const char* property) {
      std::vector<std::string> found;
      for (const grpc::string_ref& name : certificate->FindPropertyValues(property)) {
        found.emplace_back(name.data(), name.size());
      }
      return found;
    };
    return IdentifyTlsPeer(names(GRPC_X509_SAN_PROPERTY_NAME), names(GRPC_X509_CN_PROPERTY_NAME),
                           options_.tls_admin_names);
  }
  const std::optional<PeerIdentity> peer = peers_->Find(context.peer());
  if (!peer) return absl::UnauthenticatedError("the caller's identity is not known");
  return *peer;
}

absl::Status StartupServiceImpl::TakePlace(const PeerIdentity& peer) {
  absl::MutexLock lock(&places_mutex_);
  if (places_ >= options_.max_subscribers) {
    return absl::ResourceExhaustedError(absl::StrCat("this daemon serves at most ",
                                                     options_.max_subscribers,
                                                     " watches at once (--max-watches)"));
  }
  int& of_user = places_by_user_[peer.uid];
  if (!peer.privileged && of_user >= options_.max_subscribers_per_user) {
    return absl::ResourceExhaustedError(
        absl::StrCat("this daemon serves at most ", options_.max_subscribers_per_user,
                     " watches of one user at once (--max-watches-per-user)"));
  }
  ++of_user;
  ++places_;
  return absl::OkStatus();
}

void StartupServiceImpl::LeavePlace(const PeerIdentity& peer) {
  absl::MutexLock lock(&places_mutex_);
  --places_;
  const auto of_user = places_by_user_.find(peer.uid);
  if (--of_user->second == 0) places_by_user_.erase(of_user);
}

// A place among the watches at once, given back at the end of the call.
class StartupServiceImpl::Place {
 public:
  Place(StartupServiceImpl* service, const PeerIdentity& peer) : service_(service), peer_(peer) {}
  ~Place() { service_->LeavePlace(peer_); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

 private:
  StartupServiceImpl* const service_;
  const PeerIdentity peer_;
};

grpc::Status StartupServiceImpl::WatchStartups(
    grpc::ServerContext* context, const v1::WatchStartupsRequest* request,
    grpc::ServerWriter<v1::WatchStartupsResponse>* writer) {
  const absl::StatusOr<PeerIdentity> peer = PeerOf(*context);
  if (!peer.ok()) return ToGrpc(peer.status());
  absl::StatusOr<WatchSpec> spec = ParseRequest(*request);
  if (!spec.ok()) return ToGrpc(spec.status());
  absl::StatusOr<StartupFilter> filter =
      StartupFilter::Create(request->allow(), request->deny(), *peer);
  if (!filter.ok()) return ToGrpc(filter.status());
  spec->peer = *peer;
  spec->filters = filter->ForKernel(*cgroups_);
  if (request->descendants_of_caller()) spec->ancestor_pid = peer->pid;

  if (peer->remote && (request->descendants_of_caller() || request->prepare_executables_size() != 0 ||
                       request->prepare_libraries_size() != 0)) {
    return ToGrpc(absl::InvalidArgumentError(
        "descendants_of_caller, prepare_executables, prepare_libraries: not over TLS, where the "
        "caller is no process of this machine"));
  }
  if (absl::Status status = TakePlace(*peer); !status.ok()) return ToGrpc(status);
  const Place place(this, *peer);

  absl::StatusOr<ArmedWatch> armed = controller_->Arm(*spec);
  if (!armed.ok()) return ToGrpc(armed.status());
  // Startups can only be seen once the rules are in place; a start between the two is not this
  // stream's, because `armed` has not been sent.
  const std::shared_ptr<Subscriber> subscriber =
      hub_->Subscribe(armed->mask, *std::move(filter), request->progress());

  Stream stream(writer, context->c_call(), &watchdog_, *spec, *request, cgroups_);
  bool open = stream.SendArmed(options_.version, *spec, *armed);
  absl::Time last_sent = absl::Now();
  while (open && !context->IsCancelled() && !subscriber->closed()) {
    const std::optional<HubItem> item = subscriber->Pop(kCancelCheck);
    if (item) {
      open = stream.SendItem(*item, subscriber->dropped(), subscriber->has_more());
      last_sent = absl::Now();
    } else if (absl::Now() - last_sent >= options_.heartbeat) {
      open = stream.SendHeartbeat();
      last_sent = absl::Now();
    }
  }
  hub_->Unsubscribe(subscriber);
  controller_->Disarm(armed->mask);
  if (subscriber->closed()) return {grpc::StatusCode::UNAVAILABLE, "the daemon is stopping"};
  return grpc::Status::OK;
}

grpc::Status StartupServiceImpl::ListStartups(grpc::ServerContext* context,
                                              const v1::ListStartupsRequest* request,
                                              v1::ListStartupsResponse* response) {
  const absl::StatusOr<PeerIdentity> peer = PeerOf(*context);
  if (!peer.ok()) return ToGrpc(peer.status());
  const absl::StatusOr<StartupFilter> filter =
      StartupFilter::Create(request->allow(), request->deny(), *peer);
  if (!filter.ok()) return ToGrpc(filter.status());
  uint64_t before = 0;
  if (!request->page_token().empty() && !absl::SimpleAtoi(request->page_token(), &before)) {
    return {grpc::StatusCode::INVALID_ARGUMENT, "page_token: not one that this daemon gave"};
  }
  if (request->page_size() < 0) {
    return {grpc::StatusCode::INVALID_ARGUMENT, "page_size: must not be negative"};
  }
  const int size = request->page_size() == 0 ? kDefaultPage
                                             : std::min<int>(request->page_size(), kMaxPage);
  uint64_t next = 0;
  ProtoContext proto{RealtimeMinusBoottimeNs(), cgroups_};
  for (const auto& startup : hub_->List(*filter, static_cast<size_t>(size), before, &next)) {
    ToProto(*startup, {.level = Level::kObjects, .brief = true}, proto, response->add_startups());
  }
  if (next != 0) response->set_next_page_token(absl::StrCat(next));
  return grpc::Status::OK;
}

grpc::Status StartupServiceImpl::GetStartup(grpc::ServerContext* context,
                                            const v1::GetStartupRequest* request,
                                            v1::Startup* response) {
  const absl::StatusOr<PeerIdentity> peer = PeerOf(*context);
  if (!peer.ok()) return ToGrpc(peer.status());
  const std::shared_ptr<const Startup> startup = hub_->Get(request->startup_id());
  if (startup == nullptr || !MaySee(*peer, *startup)) {
    return {grpc::StatusCode::NOT_FOUND,
            absl::StrCat("startup ", request->startup_id(),
                         ": not among the recent ones (see ListStartups)")};
  }
  ToProto(*startup, {.level = Level::kFunctions, .link_facts = true},
          ProtoContext{RealtimeMinusBoottimeNs(), cgroups_}, response);
  return grpc::Status::OK;
}

grpc::Status StartupServiceImpl::GetStatus(grpc::ServerContext* context,
                                           const v1::GetStatusRequest* request,
                                           v1::GetStatusResponse* response) {
  const absl::StatusOr<PeerIdentity> peer = PeerOf(*context);
  if (!peer.ok()) return ToGrpc(peer.status());
  DaemonStatus status = controller_->Status();
  status.losses.push_back({LossStage::kSubscriber, 0, hub_->dropped(), "--queue-startups"});
  // Which files others run is not everybody's business.
  if (!peer->privileged) {
    status.images.clear();
    status.inspector.refused.clear();
  }
  ToProto(status, response);
  response->set_version(options_.version);
  const int64_t started =
      static_cast<int64_t>(started_boottime_ns_) + RealtimeMinusBoottimeNs();
  response->mutable_started()->set_seconds(started / 1'000'000'000);
  response->mutable_started()->set_nanos(static_cast<int32_t>(started % 1'000'000'000));
  response->set_subscribers(static_cast<uint32_t>(hub_->subscribers()));
  response->set_startups_kept(hub_->kept());
  FillPrivileges(options_.privileges, response->mutable_privileges());
  response->set_watches_cut(watchdog_.cut());
  return grpc::Status::OK;
}

}  // namespace startscope
