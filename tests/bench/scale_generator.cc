// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// scale_generator sizes RECORDING…: bytes of one startup at each step from the kernel's records to
// what an exporter sends. scale_generator simulate: a fleet's startups through the exporters' own
// code, a second of each node at a time: what they make of it, and what that costs. scale_generator
// push: the same in real time, each node with its own pusher to a collector and its own /metrics,
// for witnesses to look at. No privileges.

#include <prometheus/registry.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/export/gzip.h"
#include "client/export/metrics_server.h"
#include "client/export/otlp_json.h"
#include "client/export/otlp_pusher.h"
#include "client/export/startup_groups.h"
#include "client/export/startup_metrics.h"
#include "client/export/trace_exporter.h"
#include "client/json.h"
#include "tests/bench/fleet.h"

namespace startscope {
namespace {

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double ResidentBytes() {
  unsigned long size = 0;
  unsigned long resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

// Batches as OtlpPusher makes them (so many startups, or what came in so long), by simulated time,
// and adds up what a request of each would be.
class MeasuringSink : public TraceSink {
 public:
  explicit MeasuringSink(otlp::Resource resource) : resource_(std::move(resource)) { Begin(); }

  void Add(TraceSpans spans) override {
    auto* target = traces_.mutable_resource_spans(0)->mutable_scope_spans(0)->mutable_spans();
    for (otlp::Span& span : spans) {
      for (const otlp::KeyValue& attribute : span.attributes()) {
        if (attribute.key() == "startscope.sampling.adjusted_count") {
          adjusted_ += attribute.value().double_value();
        }
      }
      *target->Add() = std::move(span);
    }
    ++counts_.delivered;
    if (++startups_ >= PushOptions{}.batch) Send();
  }
  void Finish() override { Send(); }
  [[nodiscard]] SinkCounts counts() const override { return counts_; }

  void Tick(absl::Time now) {
    if (now < due_) return;
    due_ = now + PushOptions{}.delay;
    Send();
  }
  void MeasureJson() { json_ = true; }
  [[nodiscard]] uint64_t raw_bytes() const { return raw_bytes_; }
  [[nodiscard]] uint64_t json_bytes() const { return json_bytes_; }
  [[nodiscard]] double adjusted() const { return adjusted_; }

 private:
  void Begin() {
    traces_ = FrameOf(resource_, "0.1.0", 0);
    startups_ = 0;
  }
  void Send() {
    if (startups_ == 0) return;
    const std::string body = traces_.SerializeAsString();
    raw_bytes_ += body.size();
    counts_.body_bytes += Gzip(body).size();
    ++counts_.requests;
    if (json_) json_bytes_ += ToOtlpJson(traces_)->size();
    Begin();
  }

  const otlp::Resource resource_;
  otlp::Traces traces_;
  SinkCounts counts_;
  absl::Time due_ = absl::InfinitePast();
  size_t startups_ = 0;
  uint64_t raw_bytes_ = 0;
  uint64_t json_bytes_ = 0;
  double adjusted_ = 0;
  bool json_ = false;
};

struct Options {
  FleetOptions fleet;
  SamplingOptions sampling;
  uint32_t seconds = 60;
  bool no_rate = false;
  std::vector<std::string> labels;
  uint64_t max_series = 2000;
  std::string endpoint;
  int first_port = 0;
  std::vector<std::string> recordings;
};

// The metrics of one node, as `startscope metrics` has them.
struct NodeMetrics {
  explicit NodeMetrics(const Options& options)
      : startups(registry, "0.1.0"),
        groups(registry, Labels(options), options.max_series, absl::Minutes(15)) {
    startups.SetDaemonUp(true);
  }
  static std::vector<const OpenLabel*> Labels(const Options& options) {
    std::vector<const OpenLabel*> labels;
    for (const std::string& name : options.labels) labels.push_back(FindOpenLabel(name));
    return labels;
  }
  void Observe(const v1::Startup& startup, absl::Time now) {
    startups.Observe(startup);
    groups.Observe(startup, now);
  }

  prometheus::Registry registry;
  StartupMetrics startups;
  StartupGroups groups;
};

size_t SeriesIn(const std::string& text) {
  size_t series = 0;
  for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) series += text[at] != '#';
  return series;
}

int Sizes(const std::vector<RecordedStartup>& recorded) {
  std::printf(
      "| recording | records | record bytes | gRPC | gRPC gzip | JSON | JSON gzip | spans | "
      "OTLP | OTLP gzip | OTLP JSON |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
  for (const RecordedStartup& one : recorded) {
    const std::string grpc = one.startup.SerializeAsString();
    const std::string json = *ToJsonLine(one.startup);
    otlp::Traces traces = FrameOf({}, "0.1.0", 0);
    TraceSpans spans = BuildTrace({one.startup, SampleReason::kChance, 0.01},
                                  TraceIdOf(one.startup, "machine"), TraceOptions{});
    const int span_count = spans.size();
    traces.mutable_resource_spans(0)->mutable_scope_spans(0)->mutable_spans()->Swap(&spans);
    const std::string otlp = traces.SerializeAsString();
    std::printf("| %s | %lu | %lu | %zu | %zu | %zu | %zu | %d | %zu | %zu | %zu |\n",
                one.name.c_str(), one.records, one.record_bytes, grpc.size(), Gzip(grpc).size(),
                json.size(), Gzip(json).size(), span_count, otlp.size(), Gzip(otlp).size(),
                ToOtlpJson(traces)->size());
  }
  return 0;
}

// Levels above PHASES are not what exporters watch: what they add is left out.
void CutToPhases(std::vector<RecordedStartup>& recorded) {
  for (RecordedStartup& one : recorded) {
    one.startup.clear_objects();
    one.startup.clear_timeline();
    one.startup.clear_unattributed();
    one.startup.clear_syscalls();
    one.startup.clear_tls();
    one.startup.set_level(v1::LEVEL_PHASES);
  }
}

int Simulate(const Options& options, std::vector<RecordedStartup> recorded) {
  CutToPhases(recorded);
  Fleet fleet(options.fleet, std::move(recorded));
  const uint32_t nodes = options.fleet.nodes;
  std::vector<std::unique_ptr<NodeMetrics>> metrics;
  std::vector<std::unique_ptr<MeasuringSink>> sinks;
  std::vector<std::unique_ptr<TraceExporter>> exporters;
  const double resident_before = ResidentBytes();
  for (uint32_t node = 0; node < nodes; ++node) {
    const otlp::Resource resource = fleet.ResourceOf(node);
    metrics.push_back(std::make_unique<NodeMetrics>(options));
    sinks.push_back(std::make_unique<MeasuringSink>(resource));
    exporters.push_back(std::make_unique<TraceExporter>(
        options.sampling, TraceOptions{}, absl::StrCat("node ", node), *sinks.back()));
  }
  double metrics_s = 0;
  double traces_s = 0;
  uint64_t startups = 0;
  for (uint32_t second = 0; second < options.seconds; ++second) {
    const absl::Time now = absl::FromUnixSeconds(1'800'000'000 + second);
    for (uint32_t node = 0; node < nodes; ++node) {
      std::vector<v1::Startup> batch = fleet.Second(node, now);
      startups += batch.size();
      const double begin = CpuSeconds();
      for (const v1::Startup& startup : batch) metrics[node]->Observe(startup, now);
      const double middle = CpuSeconds();
      for (v1::Startup& startup : batch) exporters[node]->Offer(std::move(startup), now);
      exporters[node]->Tick(now);
      sinks[node]->Tick(now);
      metrics_s += middle - begin;
      traces_s += CpuSeconds() - middle;
    }
  }
  const double resident_after = ResidentBytes();
  SinkCounts sent;
  uint64_t raw_bytes = 0;
  uint64_t spans = 0;
  uint64_t left_out = 0;
  uint64_t over_rate = 0;
  double adjusted = 0;
  size_t series = 0;
  size_t scrape_bytes = 0;
  size_t scrape_gzip_bytes = 0;
  const double scrape_begin = CpuSeconds();
  for (uint32_t node = 0; node < nodes; ++node) {
    const std::string text = ScrapeText({&metrics[node]->registry});
    series += SeriesIn(text);
    scrape_bytes += text.size();
  }
  const double scrape_s = CpuSeconds() - scrape_begin;
  scrape_gzip_bytes = Gzip(ScrapeText({&metrics[0]->registry})).size();
  for (uint32_t node = 0; node < nodes; ++node) {
    exporters[node]->Finish();
    const SinkCounts counts = sinks[node]->counts();
    sent.delivered += counts.delivered;
    sent.body_bytes += counts.body_bytes;
    sent.requests += counts.requests;
    raw_bytes += sinks[node]->raw_bytes();
    adjusted += sinks[node]->adjusted();
    spans += exporters[node]->spans();
    left_out += exporters[node]->sampler().left_out();
    over_rate += exporters[node]->sampler().over_rate();
  }
  const double node_seconds = static_cast<double>(nodes) * options.seconds;
  const double n = nodes;
  std::printf("nodes %u, seconds %u, startups %lu (%.1f a second and node)\n", nodes,
              options.seconds, startups, static_cast<double>(startups) / node_seconds);
  std::printf(
      "traces: kept %lu (%.3f a second and node), left out %lu, over the rate %lu; adjusted "
      "counts add up to %.0f (%+.2f %%)\n",
      sent.delivered, static_cast<double>(sent.delivered) / node_seconds, left_out, over_rate,
      adjusted, 100 * (adjusted / static_cast<double>(startups) - 1));
  std::printf(
      "to the collector, a second and node: %.2f spans, %.0f bytes, %.0f bytes in gzip, "
      "%.3f requests; of a kept startup %.0f bytes, %.0f in gzip\n",
      static_cast<double>(spans) / node_seconds, static_cast<double>(raw_bytes) / node_seconds,
      static_cast<double>(sent.body_bytes) / node_seconds,
      static_cast<double>(sent.requests) / node_seconds,
      static_cast<double>(raw_bytes) / static_cast<double>(sent.delivered),
      static_cast<double>(sent.body_bytes) / static_cast<double>(sent.delivered));
  std::printf(
      "metrics of a node: %.0f series, %.0f bytes a scrape, %zu in gzip, %.2f ms of CPU a "
      "scrape\n",
      static_cast<double>(series) / n, static_cast<double>(scrape_bytes) / n, scrape_gzip_bytes,
      scrape_s / n * 1e3);
  std::printf(
      "CPU of a startup: metrics %.1f us, traces %.1f us; memory of a node's exporters "
      "beside their processes: %.0f KiB\n",
      metrics_s / static_cast<double>(startups) * 1e6,
      traces_s / static_cast<double>(startups) * 1e6,
      (resident_after - resident_before) / n / 1024);
  return 0;
}

int Push(const Options& options, std::vector<RecordedStartup> recorded) {
  CutToPhases(recorded);
  Fleet fleet(options.fleet, std::move(recorded));
  const uint32_t nodes = options.fleet.nodes;
  const auto settings = ReadOtlpSettings({.endpoint = options.endpoint}, ProcessEnvironment);
  if (!settings.ok()) {
    std::fprintf(stderr, "scale_generator: %s\n", std::string(settings.status().message()).c_str());
    return 2;
  }
  std::vector<std::unique_ptr<NodeMetrics>> metrics;
  std::vector<std::unique_ptr<MetricsServer>> servers;
  std::vector<std::unique_ptr<OtlpPusher>> pushers;
  std::vector<std::unique_ptr<TraceExporter>> exporters;
  for (uint32_t node = 0; node < nodes; ++node) {
    metrics.push_back(std::make_unique<NodeMetrics>(options));
    auto server = MetricsServer::Start({"127.0.0.1", options.first_port + static_cast<int>(node)},
                                       {&metrics.back()->registry});
    if (!server.ok()) {
      std::fprintf(stderr, "scale_generator: %s\n", std::string(server.status().message()).c_str());
      return 1;
    }
    (*server)->SetTrouble("");
    servers.push_back(*std::move(server));
    pushers.push_back(std::make_unique<OtlpPusher>(MakeHttpTransport(*settings, "0.1.0"),
                                                   fleet.ResourceOf(node), "0.1.0", PushOptions{}));
    exporters.push_back(std::make_unique<TraceExporter>(
        options.sampling, TraceOptions{}, absl::StrCat("node ", node), *pushers.back()));
  }
  std::printf("ready\n");
  std::fflush(stdout);
  uint64_t startups = 0;
  absl::Time next = absl::Now();
  for (uint32_t second = 0; second < options.seconds; ++second) {
    for (uint32_t node = 0; node < nodes; ++node) {
      for (v1::Startup& startup : fleet.Second(node, next)) {
        ++startups;
        metrics[node]->Observe(startup, next);
        exporters[node]->Offer(std::move(startup), next);
      }
      exporters[node]->Tick(next);
    }
    next += absl::Seconds(1);
    absl::SleepFor(next - absl::Now());
  }
  SinkCounts sent;
  uint64_t spans = 0;
  for (uint32_t node = 0; node < nodes; ++node) {
    exporters[node]->Finish();
    const SinkCounts counts = pushers[node]->counts();
    sent.delivered += counts.delivered;
    sent.body_bytes += counts.body_bytes;
    sent.requests += counts.requests;
    sent.dropped_queue += counts.dropped();
    spans += exporters[node]->spans();
  }
  std::printf(
      "pushed: startups %lu, kept %lu, spans %lu, requests %lu, body bytes %lu, dropped %lu\n",
      startups, sent.delivered, spans, sent.requests, sent.body_bytes, sent.dropped_queue);
  return 0;
}

void AddFleet(CLI::App& app, Options& options) {
  app.add_option("--nodes", options.fleet.nodes)->check(CLI::Range(1u, 100'000u));
  app.add_option("--rate", options.fleet.rate, "startups a second of each node");
  app.add_option("--pods", options.fleet.pods_per_node)->check(CLI::Range(1u, 1000u));
  app.add_option("--seed", options.fleet.seed);
  app.add_option("--slow-share", options.fleet.slow_share);
  app.add_option("--failed-share", options.fleet.failed_share);
  app.add_option("--seconds", options.seconds);
  app.add_option("--sample", options.sampling.fraction);
  app.add_option("--max-rate", options.sampling.rate.emplace(2));
  app.add_flag("--no-max-rate", options.no_rate);
  app.add_option("--label", options.labels)->allow_extra_args(false);
  app.add_option("--max-series", options.max_series);
}

int Main(int argc, char** argv) {
  CLI::App app("Feeds recorded startups of simulated nodes through the exporters.");
  app.require_subcommand(1);
  Options options;
  CLI::App* sizes = app.add_subcommand("sizes", "Bytes of one startup at each step");
  CLI::App* simulate = app.add_subcommand("simulate", "A fleet in simulated time");
  CLI::App* push = app.add_subcommand("push", "A fleet in real time, to a collector");
  AddFleet(*simulate, options);
  AddFleet(*push, options);
  push->add_option("--endpoint", options.endpoint)->required();
  push->add_option("--first-port", options.first_port)->required();
  for (CLI::App* command : {sizes, simulate, push}) {
    command->add_option("RECORDING", options.recordings)->required();
  }
  CLI11_PARSE(app, argc, argv);
  if (options.no_rate) options.sampling.rate.reset();
  std::vector<RecordedStartup> recorded;
  for (const std::string& path : options.recordings) {
    absl::StatusOr<RecordedStartup> one = Replay(path);
    if (!one.ok()) {
      std::fprintf(stderr, "scale_generator: %s\n", std::string(one.status().message()).c_str());
      return 1;
    }
    recorded.push_back(*std::move(one));
  }
  if (sizes->parsed()) return Sizes(recorded);
  return simulate->parsed() ? Simulate(options, std::move(recorded))
                            : Push(options, std::move(recorded));
}

}  // namespace
}  // namespace startscope

int main(int argc, char** argv) { return startscope::Main(argc, argv); }
