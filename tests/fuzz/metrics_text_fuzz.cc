// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// What a scrape of the metrics gets, whatever startups and a daemon's status say: each line is one
// of the text format's, no series is there twice, and there are no more of them, nor longer ones,
// than is promised. An input is a status with texts for it, one message of a watch, and startups
// with texts; its first byte chooses the labels.

#include <cctype>
#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "client/export/daemon_metrics.h"
#include "client/export/metrics_server.h"
#include "client/export/startup_groups.h"
#include "client/export/startup_metrics.h"
#include "tests/fuzz/hostile_texts.h"
#include "tests/fuzz/quiet_protobuf.h"
#include "tests/fuzz/text_rules.h"

namespace {

using namespace startscope;      // NOLINT: what is scraped
using namespace startscope::v1;  // NOLINT: the messages

constexpr size_t kMaxSeries = 3 * StartupGroups::kSeriesPerGroup;
constexpr size_t kMaxFixedSeries = 1200;
constexpr size_t kMaxLineBytes = 2048;
constexpr absl::Duration kIdle = absl::Seconds(2);

bool IsNameBegin(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Reads one line of the format; what is not as it says is a finding.
class SampleLine {
 public:
  explicit SampleLine(std::string_view line) : rest_(line) {}

  // The series: its name and labels as they stand there.
  std::string_view Read() {
    const std::string_view line = rest_;
    name_ = Name();
    if (!rest_.empty() && rest_.front() == '{') Labels();
    const std::string_view series = line.substr(0, line.size() - rest_.size());
    Require(rest_.size() > 1 && rest_.front() == ' ');
    const std::string value(rest_.substr(1));
    size_t used = 0;
    (void)std::stod(value, &used);
    Require(used == value.size());
    return series;
  }

  [[nodiscard]] std::string_view name() const { return name_; }

 private:
  std::string_view Name() {
    size_t end = 0;
    while (end < rest_.size() &&
           (IsNameBegin(rest_[end]) || (end > 0 && std::isdigit(rest_[end])))) {
      ++end;
    }
    Require(end > 0);
    const std::string_view name = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return name;
  }

  void Labels() {
    std::set<std::string_view> names;
    do {
      rest_.remove_prefix(1);
      Require(names.insert(Name()).second);
      Require(rest_.substr(0, 2) == "=\"");
      rest_.remove_prefix(2);
      while (!rest_.empty() && rest_.front() != '"') {
        const bool escaped = rest_.front() == '\\';
        Require(!escaped ||
                (rest_.size() > 1 && (rest_[1] == '\\' || rest_[1] == '"' || rest_[1] == 'n')));
        rest_.remove_prefix(escaped ? 2 : 1);
      }
      Require(!rest_.empty());
      rest_.remove_prefix(1);
    } while (!rest_.empty() && rest_.front() == ',');
    Require(!rest_.empty() && rest_.front() == '}');
    rest_.remove_prefix(1);
  }

  std::string_view rest_;
  std::string_view name_;
};

void CheckScrape(const std::string& text) {
  RequireHarmless(text);
  Require(text.empty() || text.back() == '\n');
  std::set<std::string_view> series;
  size_t grouped = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(line.size() + 1);
    Require(!line.empty() && line.size() <= kMaxLineBytes);
    if (line.substr(0, 7) == "# HELP " || line.substr(0, 7) == "# TYPE ") continue;
    SampleLine sample(line);
    Require(series.insert(sample.Read()).second);
    if (sample.name().substr(0, 17) == "startscope_group_") ++grouped;
  }
  Require(grouped <= kMaxSeries);
  Require(series.size() - grouped <= kMaxFixedSeries);
}

std::vector<const OpenLabel*> ChosenLabels(uint8_t bits) {
  std::vector<const OpenLabel*> labels;
  for (const char* name : {"executable", "comm", "uid", "cgroup", "container_id", "pod_uid"}) {
    if ((bits & 1) != 0) labels.push_back(FindOpenLabel(name));
    bits >>= 1;
  }
  return labels;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const SplitInput input = Split(data + 1, size - 1);
  const SplitInput watched = Split(input.second.data(), input.second.size());
  const bool every = (data[0] & 64) != 0;
  GetStatusResponse status;
  WatchStartupsResponse message;
  ListStartupsResponse list;
  if (!ParseHostile(input.first, status, every) || !ParseHostile(watched.second, list, every) ||
      !message.ParseFromArray(watched.first.data(), static_cast<int>(watched.first.size()))) {
    return 0;
  }
  prometheus::Registry registry;
  StartupMetrics startups(registry, "1");
  StartupGroups groups(registry, ChosenLabels(data[0]), kMaxSeries, kIdle);
  DaemonMetrics daemon;
  daemon.Update(std::move(status));
  startups.Observe(message);
  absl::Time now = absl::UnixEpoch();
  for (const Startup& startup : list.startups()) {
    startups.Observe(startup);
    groups.Observe(startup, now);
    now += absl::Seconds(1);
    Require(groups.groups() <= groups.max_groups());
  }
  const std::string text = ScrapeText({&registry, &daemon});
  CheckScrape(text);
  // What did not fit is counted with the rest, and the rest never gives way.
  const bool overflowed =
      data[0] % 64 != 0 &&
      text.find("\nstartscope_exporter_overflowed_startups_total 0\n") == std::string::npos;
  Require(!overflowed || text.find("=\"other\",outcome=") != std::string::npos ||
          text.find("=\"other\"} ") != std::string::npos);
  return 0;
}
