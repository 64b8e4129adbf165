// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/serve/startup_service.h"

#include <grpc/grpc_security_constants.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "daemon/base/clock.h"
#include "daemon/serve/process_now.h"
#include "daemon/serve/startup_to_proto.h"
#include "daemon/serve/watch_request.h"
#include "google/protobuf/arena.h"

namespace startscope {
namespace {

constexpr int64_t kMaxKeepArmedSeconds = 60;
constexpr int kDefaultPage = 50;
constexpr int kMaxPage = 500;
// A message larger than this is not kept for its room.
constexpr int kMaxKeptBytes = 64 << 10;
// Holds the timeline of a small program's start; a larger one takes more, for as long as it is
// sent.
constexpr size_t kTimelineBlockBytes = 32 << 10;
// How often a stream looks whether its client has gone.
constexpr absl::Duration kCancelCheck = absl::Milliseconds(10);

grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(static_cast<int>(status.code())),
          std::string(status.message())};
}

void SetTime(uint64_t realtime_ns, google::protobuf::Timestamp* to) {
  to->set_seconds(static_cast<int64_t>(realtime_ns / 1'000'000'000));
  to->set_nanos(static_cast<int32_t>(realtime_ns % 1'000'000'000));
}

// What a stream asks for, less where it begins: two that agree in it may be one watch.
std::string WithoutPosition(v1::WatchStartupsRequest request) {
  request.clear_resume_token();
  request.clear_replay_recent();
  request.clear_keep_armed();
  return request.SerializeAsString();
}

absl::Status CheckReplay(const v1::WatchStartupsRequest& request) {
  if (request.replay_recent() != 0 && !request.resume_token().empty()) {
    return absl::InvalidArgumentError("replay_recent, resume_token: only one of them");
  }
  if (request.replay_recent() != 0 && request.descendants_of_caller()) {
    return absl::InvalidArgumentError(
        "replay_recent: not with descendants_of_caller, which the ring does not know");
  }
  if (!request.resume_token().empty() && !ResumeToken::Parse(request.resume_token())) {
    return absl::InvalidArgumentError("resume_token: not one that a daemon gave");
  }
  if (request.has_keep_armed()) {
    const google::protobuf::Duration& duration = request.keep_armed();
    if (duration.seconds() < 0 || duration.seconds() > kMaxKeepArmedSeconds ||
        duration.nanos() < 0 || duration.nanos() >= 1'000'000'000) {
      return absl::InvalidArgumentError(
          absl::StrCat("keep_armed: must be 0 to ", kMaxKeepArmedSeconds, " seconds"));
    }
  }
  return absl::OkStatus();
}

// Those of the edge itself.
void AddLosses(const Hub& hub, DaemonStatus* status) {
  const auto unsent = [status](const Unsent& of, const char* knob, const char* startups,
                               const char* messages) {
    status->losses.push_back({LossStage::kSubscriber, 0, of.startups, knob, startups, false,
                              "their streams say how many; `list` may still have them"});
    status->losses.push_back({LossStage::kSubscriber, 0, of.messages, knob, messages, false,
                              "nothing is missing from the startups themselves"});
  };
  const UnsentItems items = hub.unsent();
  unsent(items.queue_full, "--queue-startups", "startups dropped at slow watches' queues",
         "progress, stuck and throttling messages skipped there");
  unsent(items.queues_too_large, "--queue-bytes",
         "startups dropped at slow watches' queues because all queues together were too large",
         "progress, stuck and throttling messages skipped for that");
  status->losses.push_back({LossStage::kKept, hub.last_serial(),
                            hub.evicted() - hub.evicted_for_bytes(), "--keep",
                            "finished startups that left the ring", true,
                            "`list`, `show` and resumed watches do not have them"});
  status->losses.push_back({LossStage::kKept, hub.last_serial(), hub.evicted_for_bytes(),
                            "--keep-bytes", "finished startups that left the ring for its size",
                            true, "`list`, `show` and resumed watches do not have them"});
  status->losses.push_back({LossStage::kKept, 0, hub.entries_evicted(), "",
                            "timeline entries of kept startups, beyond 262144 of all", true,
                            "`show` of these startups has timeline_omitted; streams had them"});
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
         const CgroupResolver* cgroups, ResumeToken token)
      : writer_(writer),
        call_(call),
        watchdog_(watchdog),
        caller_(spec.peer),
        token_(std::move(token)),
        moved_(true) {
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

  bool SendGap(const v1::ResumeGap& gap) {
    v1::WatchStartupsResponse response;
    *response.mutable_resume_gap() = gap;
    return Send(&response);
  }

  bool SendReplayed(const FinishedItem& item, bool more) {
    replaying_ = true;
    const bool sent = SendItem(item, dropped_, more);
    replaying_ = false;
    return sent;
  }

  // Everything up to this place in the ring has been dealt with.
  void MoveTo(uint64_t serial) {
    if (serial <= token_.serial) return;
    token_.serial = serial;
    moved_ = true;
  }

  // `more`: another item will be sent right after this one, so that they may share a write.
  bool SendItem(const HubItem& item, uint64_t dropped, bool more) {
    context_.realtime_minus_boottime_ns = RealtimeMinusBoottimeNs();
    dropped_ = dropped;
    if (const auto* finished = std::get_if<FinishedItem>(&item)) {
      return SendFinished(*finished, more);
    }
    v1::WatchStartupsResponse response;
    if (const auto* started = std::get_if<StartedItem>(&item)) {
      v1::Startup whole;
      ToProto(*started->startup, {.level = view_.level, .brief = true}, context_, &whole);
      v1::StartupStarted* message = response.mutable_startup_started();
      message->set_startup_id(whole.startup_id());
      *message->mutable_process() = whole.process();
      *message->mutable_exec_time() = whole.exec_time();
      message->set_begin_boottime_ns(whole.begin_boottime_ns());
    } else if (const auto* phase = std::get_if<PhaseItem>(&item)) {
      response.mutable_phase_finished()->set_startup_id(phase->phase->startup_id);
      ToProto(phase->phase->slice, response.mutable_phase_finished()->mutable_slice());
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
    } else if (const auto* throttled = std::get_if<ThrottledItem>(&item)) {
      ToProto(*throttled->group, context_, response.mutable_throttled());
    }
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
  // What most messages are: the room that the last one took is used again.
  bool SendFinished(const FinishedItem& item, bool more) {
    if (view_.timeline_apart && !SendTimeline(*item.startup)) return false;
    if (startup_ == nullptr) startup_ = std::make_unique<v1::Startup>();
    startup_->Clear();
    ToProto(*item.startup, view_, context_, startup_.get());
    MoveTo(item.serial);
    ++delivered_;
    v1::WatchStartupsResponse response;
    response.set_replayed(replaying_);
    response.set_allocated_startup_finished(startup_.release());
    const bool sent = Send(&response, more);
    startup_.reset(response.release_startup_finished());
    if (startup_->GetCachedSize() > kMaxKeptBytes) startup_.reset();
    return sent;
  }

  bool SendTimeline(const Startup& startup) {
    if (view_.level < Level::kPages || !startup.timeline) return true;
    const Timeline& timeline = *startup.timeline;
    const size_t count = std::min<size_t>(timeline.entries.size(), view_.timeline_limit);
    if (timeline_block_ == nullptr) timeline_block_ = std::make_unique<char[]>(kTimelineBlockBytes);
    for (size_t first = 0; first < count; first += kTimelineChunk) {
      google::protobuf::Arena arena(timeline_block_.get(), kTimelineBlockBytes);
      auto& response = *google::protobuf::Arena::CreateMessage<v1::WatchStartupsResponse>(&arena);
      v1::TimelineChunk* chunk = response.mutable_timeline_chunk();
      chunk->set_startup_id(startup.startup_id);
      chunk->set_first(first);
      ToProto(timeline, first, std::min<size_t>(kTimelineChunk, count - first),
              chunk->mutable_entries());
      // The startup itself comes right after it.
      if (!Send(&response, /*more=*/true)) return false;
    }
    return true;
  }

  bool Send(v1::WatchStartupsResponse* response, bool more = false) {
    response->set_sequence(++sequence_);
    if (moved_) {
      token_.realtime_ms = absl::ToUnixMillis(absl::Now());
      response->set_resume_token(token_.Format());
      moved_ = false;
    }
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
  std::unique_ptr<v1::Startup> startup_;    // the one sent last
  std::unique_ptr<char[]> timeline_block_;  // where a timeline's message is made
  uint64_t sequence_ = 0;
  uint64_t delivered_ = 0;
  uint64_t dropped_ = 0;
  ResumeToken token_;
  bool moved_;
  bool replaying_ = false;
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
      watchdog_(options.write_timeout),
      held_([this](const HeldWatch& watch) { Release(watch); }) {}

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

void StartupServiceImpl::Release(const HeldWatch& watch) {
  hub_->Unsubscribe(watch.subscriber);
  controller_->Disarm(watch.armed.mask);
  LeavePlace(watch.peer);
}

ResumeToken StartupServiceImpl::TokenOf(uint64_t watch, uint64_t serial) const {
  return {boot_id_, started_boottime_ns_, watch, serial, 0};
}

// How one stream begins.
struct StartupServiceImpl::Plan {
  const v1::WatchStartupsRequest& request;
  const WatchSpec& spec;
  const StartupFilter& filter;
  // What the stream needs to be held later.
  HeldWatch watch;
  Past past;
  std::vector<v1::ResumeGap> gaps;
  uint64_t first_serial = 0;
};

absl::Status StartupServiceImpl::Begin(Plan* plan) {
  const std::optional<ResumeToken> token = ResumeToken::Parse(plan->request.resume_token());
  const bool same_boot = token && token->boot_id == boot_id_;
  const bool same_daemon = same_boot && token->epoch == started_boottime_ns_;
  if (same_daemon && token->serial > hub_->last_serial()) {
    return absl::InvalidArgumentError("resume_token: not one that this daemon gave");
  }
  ReplayTerms terms;
  terms.recent = plan->request.replay_recent();
  terms.until_exit = plan->spec.until_exit;
  if (token) terms.after = same_daemon ? token->serial : 0;

  std::optional<HeldWatch> held;
  if (same_daemon) {
    HeldWatch wanted = plan->watch;
    wanted.id = token->watch;
    held = held_.Take(wanted);
  }
  if (held) {
    plan->watch.id = held->id;
    plan->watch.armed = held->armed;
    plan->watch.armed.boottime_ns = BoottimeNs();
    terms.parked = held->subscriber;
  } else {
    if (absl::Status status = TakePlace(plan->spec.peer); !status.ok()) return status;
    absl::StatusOr<ArmedWatch> armed = controller_->Arm(plan->spec);
    if (!armed.ok()) {
      LeavePlace(plan->spec.peer);
      return armed.status();
    }
    plan->watch.armed = *std::move(armed);
    // The ring does not know whose descendants it holds.
    if (plan->request.descendants_of_caller()) terms.after.reset();
  }
  // Startups can only be seen once the rules are in place; a start between the two is not this
  // stream's, because `armed` has not been sent.
  Subscription subscription =
      hub_->Subscribe(plan->watch.armed.mask, plan->filter, plan->request.progress(), terms);
  plan->watch.subscriber = std::move(subscription.subscriber);
  plan->past = std::move(subscription.past);
  plan->first_serial = plan->watch.subscriber->position();
  if (!token) {
    if (!plan->past.items.empty()) plan->first_serial = plan->past.items.front().serial - 1;
    return absl::OkStatus();
  }

  // A stream that is cut again before it has all of the past must get the rest of it.
  plan->first_serial = terms.after ? *terms.after : plan->first_serial;
  const int64_t to_realtime_ns = RealtimeMinusBoottimeNs();
  const auto tell = [&](v1::ResumeGapReason reason, uint64_t until_boottime_ns) {
    v1::ResumeGap& gap = plan->gaps.emplace_back();
    gap.set_reason(reason);
    SetTime(token->realtime_ms * 1'000'000, gap.mutable_since());
    SetTime(until_boottime_ns + to_realtime_ns, gap.mutable_until());
    return &gap;
  };
  const uint64_t armed_ns = plan->watch.armed.boottime_ns;
  if (!same_boot) {
    tell(v1::RESUME_GAP_REASON_MACHINE_REBOOTED, armed_ns);
  } else if (!same_daemon) {
    tell(v1::RESUME_GAP_REASON_DAEMON_RESTARTED, armed_ns);
  } else if (!held) {
    tell(v1::RESUME_GAP_REASON_NOT_FOLLOWED, armed_ns);
  }
  if (same_daemon && plan->past.gone != 0) {
    v1::ResumeGap* gap =
        tell(v1::RESUME_GAP_REASON_RING_OVERRAN, plan->past.oldest_end_boottime_ns);
    gap->set_count(plan->past.gone);
    if (plan->past.gone_matching) gap->set_matching(*plan->past.gone_matching);
  }
  if (plan->request.progress() || plan->request.loader_events()) {
    tell(v1::RESUME_GAP_REASON_NOT_KEPT, armed_ns);
  }
  return absl::OkStatus();
}

grpc::Status StartupServiceImpl::WatchStartups(
    grpc::ServerContext* context, const v1::WatchStartupsRequest* request,
    grpc::ServerWriter<v1::WatchStartupsResponse>* writer) {
  const absl::StatusOr<PeerIdentity> peer = PeerOf(*context);
  if (!peer.ok()) return ToGrpc(peer.status());
  absl::StatusOr<WatchSpec> spec = ParseRequest(*request);
  if (!spec.ok()) return ToGrpc(spec.status());
  if (absl::Status status = CheckReplay(*request); !status.ok()) return ToGrpc(status);
  absl::StatusOr<StartupFilter> filter =
      StartupFilter::Create(request->allow(), request->deny(), *peer);
  if (!filter.ok()) return ToGrpc(filter.status());
  spec->peer = *peer;
  spec->filters = filter->ForKernel(*cgroups_);
  if (request->descendants_of_caller()) spec->ancestor_pid = peer->pid;

  if (peer->remote &&
      (request->descendants_of_caller() || request->prepare_executables_size() != 0 ||
       request->prepare_libraries_size() != 0)) {
    return ToGrpc(absl::InvalidArgumentError(
        "descendants_of_caller, prepare_executables, prepare_libraries: not over TLS, where the "
        "caller is no process of this machine"));
  }
  Plan plan{*request, *spec, *filter, {}, {}, {}, 0};
  plan.watch.peer = *peer;
  plan.watch.request = WithoutPosition(*request);
  plan.watch.of_process = request->descendants_of_caller();
  if (absl::Status status = Begin(&plan); !status.ok()) return ToGrpc(status);
  const std::shared_ptr<Subscriber> subscriber = plan.watch.subscriber;
  plan.watch.id = held_.Open(plan.watch.id, *peer, [context] { context->TryCancel(); });

  Stream stream(writer, context->c_call(), &watchdog_, *spec, *request, cgroups_,
                TokenOf(plan.watch.id, plan.first_serial));
  bool open = stream.SendArmed(options_.version, *spec, plan.watch.armed);
  for (const v1::ResumeGap& gap : plan.gaps) open = open && stream.SendGap(gap);
  std::vector<FinishedItem>& past = plan.past.items;
  for (size_t i = 0; i < past.size(); ++i) {
    open = open && !context->IsCancelled() && stream.SendReplayed(past[i], i + 1 < past.size());
    past[i].startup.reset();
  }
  absl::Time last_sent = absl::Now();
  while (open && !context->IsCancelled() && !subscriber->closed()) {
    const std::optional<HubItem> item = subscriber->Pop(kCancelCheck);
    if (item) {
      open = stream.SendItem(*item, subscriber->dropped(), subscriber->has_more());
      last_sent = absl::Now();
    } else if (absl::Now() - last_sent >= options_.heartbeat) {
      stream.MoveTo(subscriber->position());
      open = stream.SendHeartbeat();
      last_sent = absl::Now();
    }
  }
  const bool stopping = subscriber->closed();
  absl::Duration hold = absl::ZeroDuration();
  if (request->has_keep_armed() && !stopping) {
    hold = absl::Seconds(request->keep_armed().seconds()) +
           absl::Nanoseconds(request->keep_armed().nanos());
    hub_->Park(subscriber);
  }
  if (!held_.Close(plan.watch, hold)) Release(plan.watch);
  if (stopping) return {grpc::StatusCode::UNAVAILABLE, "the daemon is stopping"};
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
  const int size =
      request->page_size() == 0 ? kDefaultPage : std::min<int>(request->page_size(), kMaxPage);
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

grpc::Status StartupServiceImpl::EndWatch(grpc::ServerContext* context,
                                          const v1::EndWatchRequest* request,
                                          v1::EndWatchResponse* /*response*/) {
  const absl::StatusOr<PeerIdentity> peer = PeerOf(*context);
  if (!peer.ok()) return ToGrpc(peer.status());
  const std::optional<ResumeToken> token = ResumeToken::Parse(request->resume_token());
  if (!token)
    return {grpc::StatusCode::INVALID_ARGUMENT, "resume_token: not one that a daemon gave"};
  if (token->epoch == started_boottime_ns_) held_.End(token->watch, *peer);
  return grpc::Status::OK;
}

absl::Status StartupServiceImpl::Calibrate(const PeerIdentity& peer,
                                           google::protobuf::Duration* took) {
  if (!peer.privileged) {
    return absl::PermissionDeniedError("calibrate: for root and members of the admin group only");
  }
  const absl::Time begin = absl::Now();
  if (absl::Status status = calibration_.Enter(begin); !status.ok()) return status;
  absl::Status status = controller_->Calibrate();
  const absl::Time end = absl::Now();
  calibration_.Leave(end);
  took->set_seconds(absl::ToInt64Seconds(end - begin));
  took->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds((end - begin) % absl::Seconds(1))));
  return status;
}

grpc::Status StartupServiceImpl::GetStatus(grpc::ServerContext* context,
                                           const v1::GetStatusRequest* request,
                                           v1::GetStatusResponse* response) {
  const absl::StatusOr<PeerIdentity> peer = PeerOf(*context);
  if (!peer.ok()) return ToGrpc(peer.status());
  if (request->calibrate()) {
    absl::Status status = Calibrate(*peer, response->mutable_calibration_took());
    if (!status.ok()) return ToGrpc(status);
  }
  DaemonStatus status = controller_->Status();
  AddLosses(*hub_, &status);
  // Which files others run is not everybody's business.
  if (!peer->privileged) {
    status.images.clear();
    status.inspector.refused.clear();
  }
  ToProto(status, response);
  response->set_version(options_.version);
  const int64_t started = static_cast<int64_t>(started_boottime_ns_) + RealtimeMinusBoottimeNs();
  response->mutable_started()->set_seconds(started / 1'000'000'000);
  response->mutable_started()->set_nanos(static_cast<int32_t>(started % 1'000'000'000));
  response->set_subscribers(static_cast<uint32_t>(hub_->subscribers()));
  response->set_startups_kept(hub_->kept());
  FillPrivileges(options_.privileges, response->mutable_privileges());
  response->set_watches_cut(watchdog_.cut());
  return grpc::Status::OK;
}

}  // namespace startscope
