// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/client/client_program.h"
#include "tests/unit/client/fake_daemon.h"

namespace startscope {
namespace {

using startscope::v1::ListStartupsRequest;
using startscope::v1::ListStartupsResponse;
using startscope::v1::Startup;
using testing::HasSubstr;

class UnaryCommands : public testing::Test {
 protected:
  // Keeps `count` startups, newest first, and serves them in pages of at most two.
  void Keep(int count) {
    for (int i = count; i > 0; --i) kept_.push_back(SampleStartup(10 * i, "/bin/sample"));
    daemon_.service.on_list = [this](const ListStartupsRequest& request,
                                     ListStartupsResponse* response) {
      requests_.push_back(request);
      size_t at = request.page_token().empty() ? 0 : std::stoul(request.page_token());
      const size_t size = std::min<size_t>(2, request.page_size());
      for (size_t i = 0; i < size && at < kept_.size(); ++i) {
        *response->add_startups() = kept_[at++];
      }
      if (at < kept_.size()) response->set_next_page_token(std::to_string(at));
      return grpc::Status::OK;
    };
    daemon_.service.on_get = [this](const std::string& id, Startup* startup) {
      for (const Startup& candidate : kept_) {
        if (candidate.startup_id() == id) {
          *startup = candidate;
          return grpc::Status::OK;
        }
      }
      return grpc::Status(grpc::StatusCode::NOT_FOUND, "no startup " + id);
    };
  }
  ClientResult Client(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--address", daemon_.address()});
    return RunClient(arguments);
  }

  std::vector<Startup> kept_;
  std::vector<ListStartupsRequest> requests_;
  FakeDaemon daemon_;
};

TEST_F(UnaryCommands, ListFollowsPagesToTheEnd) {
  Keep(5);
  const ClientResult result = Client({"list"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 6) << result.out;
  EXPECT_LT(result.out.find("50-5000-1"), result.out.find("10-5000-1"));
}

TEST_F(UnaryCommands, ListStopsAtItsLimit) {
  Keep(5);
  const ClientResult result = Client({"list", "--limit", "3", "--format", "json"});
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 3);
  EXPECT_EQ(requests_.back().page_size(), 1);
}

TEST_F(UnaryCommands, ListPassesItsFilterWithEveryPage) {
  Keep(3);
  Client({"list", "--comm", "sample"});
  ASSERT_EQ(requests_.size(), 2u);
  EXPECT_EQ(requests_[0].allow(0).comm(0), "sample");
  EXPECT_EQ(requests_[1].allow(0).comm(0), "sample");
}

TEST_F(UnaryCommands, AnEmptyListIsNoError) {
  Keep(0);
  const ClientResult result = Client({"list"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, HasSubstr("no startup matches"));
}

TEST_F(UnaryCommands, ShowFindsAWholeId) {
  Keep(3);
  const ClientResult result = Client({"show", "20-5000-1"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("id: 20-5000-1"));
}

TEST_F(UnaryCommands, ShowFindsTheUniqueBeginOfAnId) {
  Keep(3);
  EXPECT_THAT(Client({"show", "2"}).out, HasSubstr("id: 20-5000-1"));
}

TEST_F(UnaryCommands, ShowLastIsTheNewest) {
  Keep(3);
  EXPECT_THAT(Client({"show", "last"}).out, HasSubstr("id: 30-5000-1"));
}

TEST_F(UnaryCommands, ShowNamesTheCandidatesOfAnAmbiguousId) {
  Keep(12);
  const ClientResult result = Client({"show", "1"});
  EXPECT_EQ(result.code, 6);
  EXPECT_THAT(result.err, HasSubstr("100-5000-1"));
  EXPECT_THAT(result.err, HasSubstr("10-5000-1"));
}

TEST_F(UnaryCommands, ShowOfAnUnknownIdIsNotFound) {
  Keep(3);
  const ClientResult result = Client({"show", "999-x"});
  EXPECT_EQ(result.code, 6);
  EXPECT_THAT(result.err, HasSubstr("999-x"));
}

TEST_F(UnaryCommands, ShowGivesViewsInThePlaceOfTheBreakdown) {
  Keep(1);
  auto* object = kept_[0].add_objects();
  object->set_kind(startscope::v1::OBJECT_KIND_LIBRARY);
  object->set_path("/lib/libz.so.1");
  EXPECT_THAT(Client({"show", "last", "--tree", "--link"}).out, HasSubstr("libz.so.1"));
  const ClientResult why = Client({"show", "last", "--why", "libz.so.1"});
  EXPECT_EQ(why.code, 0) << why.err;
  EXPECT_THAT(why.out, testing::Not(HasSubstr("loader bootstrap")));
  EXPECT_THAT(why.out, HasSubstr("loaded because"));
  const ClientResult unknown = Client({"show", "last", "--why", "libx.so.1"});
  EXPECT_EQ(unknown.code, 6);
  EXPECT_THAT(unknown.err, HasSubstr("did you mean libz.so.1"));
  EXPECT_THAT(Client({"show", "last", "--why", "x", "--format", "json"}).out,
              HasSubstr("\"startup_id\":"));
}

TEST_F(UnaryCommands, StatusOfAHealthyDaemonIsZero) {
  daemon_.service.on_status = [](startscope::v1::GetStatusResponse* response) {
    response->set_version("9.9");
    auto* probe = response->add_probes();
    probe->set_name("on_mark");
    probe->set_state(startscope::v1::PROBE_STATE_IDLE);
    return grpc::Status::OK;
  };
  const ClientResult result = Client({"status"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("startscoped 9.9"));
  EXPECT_THAT(Client({"status", "--format", "json"}).out, HasSubstr("\"PROBE_STATE_IDLE\""));
}

TEST_F(UnaryCommands, StatusOfADaemonThatCannotMeasureIsNot) {
  daemon_.service.on_status = [](startscope::v1::GetStatusResponse* response) {
    auto* feature = response->mutable_kernel()->add_features();
    feature->set_name("btf");
    feature->set_detail("CONFIG_DEBUG_INFO_BTF is off");
    return grpc::Status::OK;
  };
  EXPECT_EQ(Client({"status"}).code, 4);
  EXPECT_THAT(Client({"status", "--format", "json"}).err, HasSubstr("CONFIG_DEBUG_INFO_BTF"));
}

TEST_F(UnaryCommands, DoctorIsZeroUnlessNothingCanBeMeasured) {
  daemon_.service.on_status = [](startscope::v1::GetStatusResponse* response) {
    response->set_version("9.9");
    return grpc::Status::OK;
  };
  const ClientResult fine = Client({"doctor"});
  EXPECT_EQ(fine.code, 0) << fine.out;
  EXPECT_THAT(fine.out, HasSubstr("version 9.9"));
  EXPECT_THAT(Client({"doctor", "--format", "json"}).out, HasSubstr("{\"findings\":["));
  daemon_.service.on_status = [](startscope::v1::GetStatusResponse*) {
    return grpc::Status(grpc::StatusCode::PERMISSION_DENIED, "not for you");
  };
  const ClientResult refused = Client({"doctor"});
  EXPECT_EQ(refused.code, 4);
  EXPECT_THAT(refused.out, HasSubstr("not for you"));
}

TEST_F(UnaryCommands, DoctorWithoutADaemonSaysWhatToDo) {
  const ClientResult result = RunClient({"doctor", "--address", "/nonexistent/sock"});
  EXPECT_EQ(result.code, 3);
  EXPECT_THAT(result.out, HasSubstr("systemctl start startscoped"));
}

TEST_F(UnaryCommands, WhatAnErrorQuotesCannotActOnTheTerminal) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"run", "--", "./\x1b]0;title\x07"}, {"list", "--limit", "\x1b[31m"}, {"\x1b[2J"}}) {
    const ClientResult result = Client(arguments);
    EXPECT_NE(result.code, 0);
    EXPECT_THAT(result.err, HasSubstr("\\x1b"));
    EXPECT_EQ(result.err.find('\x1b'), std::string::npos);
  }
}

TEST_F(UnaryCommands, ACallThatFailsNamesTheDaemonAndItsReason) {
  daemon_.service.on_status = [](startscope::v1::GetStatusResponse*) {
    return grpc::Status(grpc::StatusCode::PERMISSION_DENIED, "not for you");
  };
  const ClientResult result = Client({"status"});
  EXPECT_EQ(result.code, 4);
  EXPECT_THAT(result.err, HasSubstr(daemon_.directory()));
  EXPECT_THAT(result.err, HasSubstr("not for you"));
}

}  // namespace
}  // namespace startscope
