// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The gRPC edge over real Unix sockets. Only the capture side is scripted.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/create_channel_posix.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <string>

#include "absl/synchronization/notification.h"
#include "daemon/serve/calibration_gate.h"
#include "daemon/serve/grpc_server.h"
#include "daemon/serve/hub.h"
#include "daemon/serve/startup_to_proto.h"
#include "daemon/base/text_escape.h"

namespace startscope {
namespace {

using ::testing::ElementsAre;

TEST(TextEscapeTest, KeepsValidUtf8AndEscapesTheRestWithoutLoss) {
  EXPECT_EQ(EscapeToUtf8("/bin/ls"), "/bin/ls");
  EXPECT_EQ(EscapeToUtf8("caf\xc3\xa9"), "caf\xc3\xa9");
  EXPECT_EQ(EscapeToUtf8("a\xff" "b"), "a\\xffb");
  EXPECT_EQ(EscapeToUtf8("back\\slash"), "back\\x5cslash");
  EXPECT_EQ(EscapeToUtf8("\xc0\xaf"), "\\xc0\\xaf");          // overlong
  EXPECT_EQ(EscapeToUtf8("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // surrogate
}

TEST(TextEscapeTest, WhereverInATextItStands) {
  const std::string plain(37, '[');  // next to the backslash
  EXPECT_EQ(EscapeToUtf8(plain), plain);
  for (size_t at = 0; at < plain.size(); ++at) {
    std::string odd = plain;
    odd[at] = '\\';
    EXPECT_EQ(EscapeToUtf8(odd), plain.substr(0, at) + "\\x5c" + plain.substr(at + 1));
    odd[at] = '\x80';
    EXPECT_EQ(EscapeToUtf8(odd), plain.substr(0, at) + "\\x80" + plain.substr(at + 1));
  }
}

TEST(TextEscapeTest, EveryByteComesBack) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  for (const std::string& bytes : {all, std::string("\\x41"), std::string("\\"), std::string("\\\\x")}) {
    EXPECT_EQ(UnescapeFromUtf8(EscapeToUtf8(bytes)), bytes);
  }
  EXPECT_EQ(UnescapeFromUtf8("C:\\x4"), "C:\\x4");  // no escape: itself
}

TEST(TextEscapeTest, AMillionRandomNamesComeBackAndAreUtf8) {
  std::mt19937_64 random(1);
  constexpr char kAwkward[] = "\x1b\x9b\xc2\x85\xe2\x80\xae\xf4\x90\n\\x41";
  for (int round = 0; round < 1'000'000; ++round) {
    std::string name(random() % 24, '\0');
    for (char& c : name) {
      const uint64_t dice = random();
      c = dice % 2 == 0 ? kAwkward[(dice >> 8) % (sizeof(kAwkward) - 1)] : static_cast<char>(dice >> 8);
    }
    const std::string text = EscapeToUtf8(name);
    ASSERT_EQ(UnescapeFromUtf8(text), name);
    v1::Process message;
    message.set_comm(text);
    ASSERT_TRUE(message.ParseFromString(message.SerializeAsString()));  // refuses what is not UTF-8
  }
}

// The casts of startup_to_proto hold only while the enumerators are the same.
TEST(EnumTest, ModelAndWireAgree) {
  EXPECT_EQ(static_cast<int>(Phase::kMain), v1::PHASE_MAIN);
  EXPECT_EQ(static_cast<int>(Phase::kKernelExec), v1::PHASE_KERNEL_EXEC);
  EXPECT_EQ(static_cast<int>(BoundarySource::kTracepoint), v1::BOUNDARY_SOURCE_TRACEPOINT);
  EXPECT_EQ(static_cast<int>(BoundarySource::kFirstFault), v1::BOUNDARY_SOURCE_FIRST_FAULT);
  EXPECT_EQ(static_cast<int>(BoundarySource::kDebugFileUprobe),
            v1::BOUNDARY_SOURCE_DEBUG_FILE_UPROBE);
  EXPECT_EQ(static_cast<int>(BoundarySource::kGoTableUprobe), v1::BOUNDARY_SOURCE_GO_TABLE_UPROBE);
  EXPECT_EQ(static_cast<int>(LoadReason::kKernel), v1::LOAD_REASON_KERNEL);
  EXPECT_EQ(static_cast<int>(InitKind::kRuntimeStage), v1::INIT_KIND_RUNTIME_STAGE);
  EXPECT_EQ(static_cast<int>(RelroKind::kFull), v1::RELRO_KIND_FULL);
  EXPECT_EQ(static_cast<int>(StuckActivity::kStopped), v1::STUCK_ACTIVITY_STOPPED);
  EXPECT_EQ(static_cast<int>(MilestoneKind::kExit), v1::MILESTONE_KIND_EXIT);
  EXPECT_EQ(static_cast<int>(Outcome::kIncomplete), v1::OUTCOME_INCOMPLETE);
  EXPECT_EQ(static_cast<int>(DegradationKind::kPerturbed), v1::DEGRADATION_KIND_PERTURBED);
  EXPECT_EQ(static_cast<int>(ObjectKind::kVdso), v1::OBJECT_KIND_VDSO);
  EXPECT_EQ(static_cast<int>(Level::kFunctions), v1::LEVEL_FUNCTIONS);
  EXPECT_EQ(static_cast<int>(Precision::kUnperturbed), v1::PRECISION_UNPERTURBED);
  EXPECT_EQ(static_cast<int>(Libc::kUnknown), v1::LIBC_UNKNOWN);
  EXPECT_EQ(static_cast<int>(Linkage::kStaticPie), v1::LINKAGE_STATIC_PIE);
  EXPECT_EQ(static_cast<int>(Language::kUnknown), v1::LANGUAGE_UNKNOWN);
  EXPECT_EQ(static_cast<int>(LossStage::kLoader), v1::LOSS_STAGE_LOADER);
}

TEST(CgroupTest, RecognisesContainersAndPods) {
  const std::string id(64, 'a');
  EXPECT_EQ(DescribeCgroupPath("/system.slice/docker-" + id + ".scope").container_id, id);
  const CgroupInfo pod = DescribeCgroupPath(
      "/kubepods.slice/kubepods-burstable.slice/"
      "kubepods-burstable-pod0b7f5bd1_52d0_4f4b_9e0e_2d6f3a1c9d11.slice/cri-containerd-" +
      id + ".scope");
  EXPECT_EQ(pod.container_id, id);
  EXPECT_EQ(pod.pod_uid, "0b7f5bd1-52d0-4f4b-9e0e-2d6f3a1c9d11");
  EXPECT_EQ(DescribeCgroupPath("/user.slice").container_id, "");
}

class ScriptedController : public WatchController {
 public:
  absl::StatusOr<ArmedWatch> Arm(const WatchSpec& spec) override {
    last_spec = spec;
    ++armed;
    if (!refuse.ok()) return refuse;
    ArmedWatch watch;
    watch.mask = 1;
    watch.boottime_ns = 7;
    return watch;
  }
  void Disarm(WatchMask) override {
    if (++disarmed == 1) first_disarm.Notify();
  }
  DaemonStatus Status() override {
    DaemonStatus status;
    status.kernel_release = "test";
    return status;
  }
  absl::Status Calibrate() override {
    ++calibrated;
    return absl::OkStatus();
  }

  WatchSpec last_spec;
  absl::Status refuse;
  std::atomic<int> armed{0};
  std::atomic<int> disarmed{0};
  std::atomic<int> calibrated{0};
  absl::Notification first_disarm;
};

std::shared_ptr<Startup> MakeStartup(const std::string& id, uint32_t uid = 0,
                                     const std::string& executable = "/bin/x") {
  auto startup = std::make_shared<Startup>();
  startup->startup_id = id;
  startup->process.uid = uid;
  startup->process.euid = uid;
  startup->process.executable = executable;
  startup->total_ns = 5;
  startup->faults.minor = 0;
  startup->objects.emplace_back();
  startup->unattributed = Unattributed{};
  startup->level = Level::kObjects;
  return startup;
}

class ServeTest : public ::testing::Test {
 protected:
  ServeTest() : hub_({.queue_items = 4, .kept_startups = 8}, &cgroups_) {
    char directory[] = "/tmp/serve_test.XXXXXX";
    directory_ = mkdtemp(directory);
    chmod(directory_.c_str(), 0755);
    path_ = directory_ + "/sock";
    options_.service.version = "1.2.3";
    options_.service.heartbeat = absl::Milliseconds(50);
  }
  ~ServeTest() override {
    server_.reset();
    unlink(path_.c_str());
    rmdir(directory_.c_str());
  }

  absl::Status StartServer() {
    ServerSockets sockets;
    absl::StatusOr<ListeningSocket> local =
        ListeningSocket::OpenUnix(path_, std::nullopt, std::nullopt);
    if (!local.ok()) return local.status();
    sockets.local = *std::move(local);
    auto server =
        GrpcServer::Start(options_, std::move(sockets), &hub_, &controller_, nullptr);
    if (!server.ok()) return server.status();
    server_ = *std::move(server);
    return absl::OkStatus();
  }

  std::unique_ptr<v1::StartupService::Stub> Connect() {
    return v1::StartupService::NewStub(
        grpc::CreateChannel("unix://" + path_, grpc::InsecureChannelCredentials()));
  }

  using Reader = grpc::ClientReader<v1::WatchStartupsResponse>;
  // The next message that is not a heartbeat.
  static bool Next(Reader* reader, v1::WatchStartupsResponse* message) {
    while (reader->Read(message)) {
      if (!message->has_heartbeat()) return true;
    }
    return false;
  }

  std::string directory_;
  std::string path_;
  CgroupResolver cgroups_;
  Hub hub_;
  ScriptedController controller_;
  ServerOptions options_;
  std::unique_ptr<GrpcServer> server_;
};

TEST_F(ServeTest, SendsArmedFirstThenStartupsWithoutAGap) {
  ASSERT_TRUE(StartServer().ok());
  const auto stub = Connect();
  grpc::ClientContext context;
  const auto reader = stub->WatchStartups(&context, {});
  v1::WatchStartupsResponse message;
  ASSERT_TRUE(reader->Read(&message));
  EXPECT_EQ(message.armed().daemon_version(), "1.2.3");
  EXPECT_EQ(message.armed().level(), v1::LEVEL_PHASES);
  EXPECT_EQ(message.sequence(), 1u);
  hub_.OnFinished(1, MakeStartup("a"));
  hub_.OnFinished(2, MakeStartup("another watch's"));
  hub_.OnFinished(1, MakeStartup("b"));
  uint64_t sequence = 1;
  for (const char* id : {"a", "b"}) {
    do {
      ASSERT_TRUE(reader->Read(&message));
      EXPECT_EQ(message.sequence(), ++sequence);
    } while (message.has_heartbeat());
    EXPECT_EQ(message.startup_finished().startup_id(), id);
    EXPECT_EQ(message.startup_finished().objects_size(), 0);  // level PHASES
    EXPECT_FALSE(message.startup_finished().has_unattributed());
  }
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::CANCELLED);
  controller_.first_disarm.WaitForNotification();
}

TEST_F(ServeTest, TheLastReplayedStartupWaitsForNothingElse) {
  options_.service.heartbeat = absl::Hours(1);
  ASSERT_TRUE(StartServer().ok());
  hub_.OnFinished(1, MakeStartup("a"));
  hub_.OnFinished(1, MakeStartup("b"));
  const auto stub = Connect();
  v1::WatchStartupsRequest request;
  request.set_replay_recent(2);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  const auto reader = stub->WatchStartups(&context, request);
  v1::WatchStartupsResponse message;
  ASSERT_TRUE(reader->Read(&message));
  EXPECT_TRUE(message.has_armed());
  for (const char* id : {"a", "b"}) {
    ASSERT_TRUE(reader->Read(&message)) << id;
    EXPECT_EQ(message.startup_finished().startup_id(), id);
    EXPECT_TRUE(message.replayed());
  }
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::CANCELLED);
}

TEST_F(ServeTest, ABatchReachesItsSubscribersAtItsEnd) {
  const auto filter = StartupFilter::Create({}, {}, {.privileged = true});
  ASSERT_TRUE(filter.ok());
  const auto subscriber = hub_.Subscribe(1, *filter, /*progress=*/false);
  hub_.BeginBatch();
  hub_.OnFinished(1, MakeStartup("a"));
  hub_.OnFinished(1, MakeStartup("b"));
  hub_.EndBatch(/*boottime_ns=*/10'000'000);
  for (const char* id : {"a", "b"}) {
    const std::optional<HubItem> item = subscriber->Pop(absl::InfiniteDuration());
    ASSERT_TRUE(item && std::holds_alternative<FinishedItem>(*item));
    EXPECT_EQ(std::get<FinishedItem>(*item).startup->startup_id, id);
  }
}

TEST_F(ServeTest, ProgressIsWantedByThoseThatAskForIt) {
  const auto filter = StartupFilter::Create({}, {}, {.privileged = true});
  ASSERT_TRUE(filter.ok());
  hub_.Subscribe(1, *filter, /*progress=*/false);
  EXPECT_FALSE(hub_.WantsProgress(1));
  const auto subscriber = hub_.Subscribe(2, *filter, /*progress=*/true);
  EXPECT_FALSE(hub_.WantsProgress(1));
  EXPECT_TRUE(hub_.WantsProgress(3));
  hub_.Unsubscribe(subscriber);
  EXPECT_FALSE(hub_.WantsProgress(2));
}

TEST_F(ServeTest, AQuietStreamBeats) {
  ASSERT_TRUE(StartServer().ok());
  grpc::ClientContext context;
  const auto stub = Connect();
  const auto reader = stub->WatchStartups(&context, {});
  v1::WatchStartupsResponse message;
  ASSERT_TRUE(reader->Read(&message));
  ASSERT_TRUE(reader->Read(&message));
  EXPECT_TRUE(message.has_heartbeat());
  context.TryCancel();
}

TEST_F(ServeTest, WhatAFullQueueDropsIsToldExactly) {
  auto filter = StartupFilter::Create({}, {}, {0, 0, 0, true});
  const auto subscriber = hub_.Subscribe(1, *filter, /*progress=*/false);
  for (int i = 0; i < 10; ++i) hub_.OnFinished(1, MakeStartup(std::to_string(i)));
  int received = 0;
  uint64_t lost = 0;
  while (const auto item = subscriber->Pop(absl::ZeroDuration())) {
    if (std::holds_alternative<FinishedItem>(*item)) ++received;
    if (const auto* told = std::get_if<LostItem>(&*item)) lost += told->count;
  }
  EXPECT_EQ(received, 4);
  EXPECT_EQ(lost, 6u);
  EXPECT_EQ(hub_.unsent().queue_full.startups, 6u);
  hub_.Unsubscribe(subscriber);
  EXPECT_EQ(hub_.unsent().queue_full.startups, 6u);
}

TEST_F(ServeTest, FiltersByExecutableAndDeny) {
  v1::WatchStartupsRequest request;
  request.add_allow()->add_executable("/usr/bin/*");
  request.add_deny()->add_executable("/usr/bin/git");
  auto filter = StartupFilter::Create(request.allow(), request.deny(), {0, 0, 0, true});
  ASSERT_TRUE(filter.ok());
  EXPECT_TRUE(filter->Matches(*MakeStartup("1", 0, "/usr/bin/ls"), cgroups_));
  EXPECT_FALSE(filter->Matches(*MakeStartup("1", 0, "/usr/bin/git"), cgroups_));
  EXPECT_FALSE(filter->Matches(*MakeStartup("1", 0, "/bin/ls"), cgroups_));
  EXPECT_TRUE(filter->ForKernel(cgroups_).empty());  // paths are no matter of the kernel's
}

TEST_F(ServeTest, KernelFilterHasANamesOwnBytes) {
  v1::WatchStartupsRequest request;
  request.add_allow()->add_comm("odd\\xff\\x5cname");
  const auto filter = StartupFilter::Create(request.allow(), {}, {0, 0, 0, true});
  const auto rules = filter->ForKernel(cgroups_);
  ASSERT_EQ(rules.size(), 1u);
  EXPECT_EQ(rules[0].comm, "odd\xff\\name");
}

TEST_F(ServeTest, KernelFilterIsTheProductOfTheFieldsOrBroader) {
  v1::WatchStartupsRequest request;
  v1::Filter* one = request.add_allow();
  one->add_pid(1);
  one->add_pid(2);
  one->add_uid(1000);
  auto filter = StartupFilter::Create(request.allow(), {}, {0, 0, 0, true});
  EXPECT_EQ(filter->ForKernel(cgroups_).size(), 2u);
  for (uint32_t pid = 3; pid < 40; ++pid) one->add_pid(pid);
  filter = StartupFilter::Create(request.allow(), {}, {0, 0, 0, true});
  const auto broad = filter->ForKernel(cgroups_);
  ASSERT_EQ(broad.size(), 1u);
  EXPECT_FALSE(broad[0].pid);
  EXPECT_EQ(broad[0].uid, 1000u);
}

TEST_F(ServeTest, RefusesRequestsItCannotServeAndSaysWhy) {
  ASSERT_TRUE(StartServer().ok());
  const auto stub = Connect();
  const auto refused = [&](const v1::WatchStartupsRequest& request) {
    grpc::ClientContext context;
    const auto reader = stub->WatchStartups(&context, request);
    v1::WatchStartupsResponse message;
    EXPECT_FALSE(reader->Read(&message));
    return reader->Finish();
  };
  v1::WatchStartupsRequest libraries;
  libraries.set_level(v1::LEVEL_PAGES);
  libraries.add_prepare_libraries("/lib/libz.so.1");
  EXPECT_EQ(refused(libraries).error_code(), grpc::INVALID_ARGUMENT);
  v1::WatchStartupsRequest stuck;
  stuck.mutable_stuck_after();
  EXPECT_NE(refused(stuck).error_message().find("stuck_after"), std::string::npos);
  v1::WatchStartupsRequest listen;
  listen.set_until(v1::UNTIL_LISTEN);
  EXPECT_EQ(refused(listen).error_code(), grpc::UNIMPLEMENTED);
  v1::WatchStartupsRequest deadline;
  deadline.mutable_deadline()->set_seconds(-1);
  EXPECT_EQ(refused(deadline).error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_NE(refused(deadline).error_message().find("deadline"), std::string::npos);
  v1::WatchStartupsRequest relative;
  relative.add_prepare_executables("ls");
  EXPECT_EQ(refused(relative).error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(controller_.armed, 0);
  controller_.refuse = absl::ResourceExhaustedError("no slots");
  EXPECT_EQ(refused({}).error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_EQ(controller_.disarmed, 0);
}

TEST_F(ServeTest, CalibratesOnceAtATimeAndNotTooOften) {
  ASSERT_TRUE(StartServer().ok());
  const auto stub = Connect();
  v1::GetStatusRequest request;
  request.set_calibrate(true);
  v1::GetStatusResponse response;
  grpc::ClientContext first;
  ASSERT_TRUE(stub->GetStatus(&first, request, &response).ok());
  EXPECT_TRUE(response.has_calibration_took());
  grpc::ClientContext again;
  const grpc::Status refused = stub->GetStatus(&again, request, &response);
  EXPECT_EQ(refused.error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_NE(refused.error_message().find("ask again in"), std::string::npos);
  grpc::ClientContext plain;
  ASSERT_TRUE(stub->GetStatus(&plain, {}, &response).ok());
  EXPECT_FALSE(response.has_calibration_took());
  EXPECT_EQ(controller_.calibrated, 1);
}

TEST(CalibrationGateTest, LetsOneInAtATimeAndTheNextWhenItHasRested) {
  CalibrationGate gate;
  const absl::Time begin = absl::UnixEpoch();
  ASSERT_TRUE(gate.Enter(begin).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(gate.Enter(begin + absl::Hours(1))));  // busy
  gate.Leave(begin + absl::Seconds(1));
  EXPECT_TRUE(absl::IsResourceExhausted(gate.Enter(begin + absl::Seconds(1))));
  EXPECT_TRUE(gate.Enter(begin + absl::Seconds(1) + CalibrationGate::kRest).ok());
}

TEST_F(ServeTest, ListsNewestFirstInPagesAndGetsOne) {
  ASSERT_TRUE(StartServer().ok());
  for (int i = 1; i <= 10; ++i) hub_.OnFinished(1, MakeStartup(std::to_string(i)));
  const auto stub = Connect();
  std::vector<std::string> ids;
  v1::ListStartupsRequest request;
  request.set_page_size(3);
  do {
    grpc::ClientContext context;
    v1::ListStartupsResponse page;
    ASSERT_TRUE(stub->ListStartups(&context, request, &page).ok());
    for (const auto& startup : page.startups()) ids.push_back(startup.startup_id());
    request.set_page_token(page.next_page_token());
    hub_.OnFinished(1, MakeStartup("new"));  // must not shift the pages
  } while (!request.page_token().empty() && ids.size() < 20);
  EXPECT_THAT(ids, ElementsAre("10", "9", "8", "7", "6", "5"));  // 8 kept, the oldest pushed out
  v1::GetStartupRequest get;
  get.set_startup_id("10");
  grpc::ClientContext found;
  v1::Startup startup;
  ASSERT_TRUE(stub->GetStartup(&found, get, &startup).ok());
  EXPECT_EQ(startup.objects_size(), 1);
  get.set_startup_id("no such");
  grpc::ClientContext missing;
  EXPECT_EQ(stub->GetStartup(&missing, get, &startup).error_code(), grpc::NOT_FOUND);
}

TEST_F(ServeTest, SocketHasItsModeReplacesAStaleOneAndIsRemoved) {
  {
    const UniqueFd stale(socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(bind(stale.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  ASSERT_TRUE(StartServer().ok());
  struct stat status{};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0660u);
  const auto second = ListeningSocket::OpenUnix(path_, std::nullopt, std::nullopt);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  server_.reset();
  EXPECT_NE(stat(path_.c_str(), &status), 0);
}

TEST_F(ServeTest, ServesOneConnectionAndTellsItsEnd) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  ServerSockets sockets;
  sockets.served.Reset(ends[0]);
  absl::Notification ended;
  auto server = GrpcServer::Start(options_, std::move(sockets), &hub_, &controller_,
                                  [&] { ended.Notify(); });
  ASSERT_TRUE(server.ok());
  fcntl(ends[1], F_SETFL, O_NONBLOCK);
  {
    const auto stub = v1::StartupService::NewStub(grpc::CreateInsecureChannelFromFd("pair", ends[1]));
    grpc::ClientContext context;
    v1::GetStatusResponse status;
    ASSERT_TRUE(stub->GetStatus(&context, {}, &status).ok());
    EXPECT_EQ(status.version(), "1.2.3");
  }
  ended.WaitForNotification();
  server->reset();
}

TEST(VisibilityTest, OthersSeeOnlyTheirOwnAndNothingPrivileged) {
  const PeerIdentity user{1, 1000, 1000, false};
  EXPECT_TRUE(MaySee(user, *MakeStartup("1", 1000)));
  EXPECT_FALSE(MaySee(user, *MakeStartup("1", 0)));
  auto secure = MakeStartup("1", 1000);
  secure->process.secure = true;
  EXPECT_FALSE(MaySee(user, *secure));
  auto setuid = MakeStartup("1", 1000);
  setuid->process.euid = 0;
  EXPECT_FALSE(MaySee(user, *setuid));
  const PeerIdentity root{1, 0, 0, true};
  EXPECT_TRUE(MaySee(root, *secure));
}

TEST(PeerTest, KernelNamesThePeerAndTheRegistryFindsIt) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  const UniqueFd first(ends[0]);
  const UniqueFd second(ends[1]);
  const auto identity = ReadPeerIdentity(first.get(), std::nullopt);
  ASSERT_TRUE(identity.ok());
  EXPECT_EQ(identity->pid, static_cast<uint32_t>(getpid()));
  EXPECT_EQ(identity->uid, getuid());
  PeerRegistry registry;
  registry.Set(12, *identity);
  EXPECT_EQ(registry.Find("fd:12")->pid, identity->pid);
  EXPECT_FALSE(registry.Find("fd:13"));
  EXPECT_FALSE(registry.Find("ipv4:127.0.0.1:12"));
}

}  // namespace
}  // namespace startscope
