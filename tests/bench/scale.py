#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""scale.py --build DIR [sizes] [simulate] [push] [live]: the figures of docs/scale.md. `push` has scale_generator push
a fleet's traces to a collector of a few lines and a real Prometheus scrape its nodes; `live` (root) measures the
exporters beside a daemon that traces 50 starts a second. Everything is on loopback."""

import argparse
import gzip
import http.server
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

SOURCE = pathlib.Path(__file__).resolve().parents[2]
DATA = SOURCE / "tests" / "data"
LEVELS = ["hello_glibc_dynamic_phases", "hello_glibc_dynamic_exact", "hello_glibc_dynamic_pages",
          "hello_glibc_dynamic_functions", "hello_go_exact", "hello_go_pages", "hello_go_functions"]
# What the simulated nodes start.
MIX = ["hello_glibc_dynamic_exact", "hello_glibc_static_exact", "hello_musl_dynamic_exact",
       "hello_musl_static_exact", "hello_go_exact", "hello_rust_exact", "threads_before_main_exact"]


def recordings(names):
    return [str(DATA / (name + ".rec")) for name in names]


class Collector:
    """Takes OTLP/HTTP in protobuf; counts bytes as they came, spans, and what the roots say they stand for."""

    def __init__(self):
        directory = tempfile.mkdtemp(prefix="startscope-otlp-")
        subprocess.run(["protoc", "-I", str(SOURCE / "client" / "export"), "--python_out", directory,
                        str(SOURCE / "client" / "export" / "otlp.proto")], check=True)
        sys.path.insert(0, directory)
        import otlp_pb2
        self.bytes = self.requests = self.spans = self.roots = 0
        self.adjusted = 0.0
        self.hosts = set()
        lock = threading.Lock()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                traces = otlp_pb2.Traces.FromString(gzip.decompress(body))
                with lock:
                    collector.take(traces, len(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *unused):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"

    def take(self, traces, size):
        self.requests += 1
        self.bytes += size
        for resource in traces.resource_spans:
            self.hosts.update(a.value.string_value for a in resource.resource.attributes
                              if a.key == "host.name")
            for span in resource.scope_spans[0].spans:
                self.spans += 1
                for attribute in span.attributes:
                    if attribute.key == "startscope.sampling.adjusted_count":
                        self.roots += 1
                        self.adjusted += attribute.value.double_value


class Prometheus:
    """The real one, on loopback, with a directory of its own."""

    def __init__(self, targets, interval_s):
        self.directory = tempfile.mkdtemp(prefix="startscope-prometheus-")
        self.port = free_port()
        own = f"127.0.0.1:{self.port}"
        config = {"global": {"scrape_interval": f"{interval_s}s"},
                  "scrape_configs": [
                      {"job_name": "nodes", "static_configs": [{"targets": targets}]},
                      {"job_name": "self", "static_configs": [{"targets": [own]}]}]}
        path = os.path.join(self.directory, "prometheus.yml")
        with open(path, "w") as file:
            json.dump(config, file)  # which is YAML
        self.log = open(os.path.join(self.directory, "log"), "w")
        self.process = subprocess.Popen(
            ["prometheus", "--config.file", path, "--web.listen-address", own,
             "--storage.tsdb.path", os.path.join(self.directory, "data")],
            stdout=self.log, stderr=self.log)

    def value(self, query):
        url = f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
        with urllib.request.urlopen(url, timeout=30) as response:
            result = json.load(response)["data"]["result"]
        return float(result[0]["value"][1]) if result else None

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def generator(build, *arguments):
    return [str(build / "bench" / "scale_generator"), *map(str, arguments)]


def sizes(build):
    subprocess.run(generator(build, "sizes", *recordings(LEVELS)), check=True)


def simulate(build):
    for title, flags in [
            ("the defaults", ["--nodes", 200, "--seconds", 60]),
            ("everything", ["--nodes", 20, "--seconds", 20, "--sample", 1, "--no-max-rate"]),
            ("half of all starts slow, the defaults", ["--nodes", 50, "--seconds", 60,
                                                       "--slow-share", 0.5]),
            ("--label pod_uid, 30 pods", ["--nodes", 20, "--seconds", 60, "--label", "pod_uid"]),
            ("--label pod_uid, 300 pods", ["--nodes", 20, "--seconds", 60, "--label", "pod_uid",
                                           "--pods", 300])]:
        print(f"\n### {title}: {' '.join(map(str, flags))}", flush=True)
        subprocess.run(generator(build, "simulate", *flags, *recordings(MIX)), check=True)


def push(build, seconds=60, interval_s=5):
    """Two sizes, so that what each series costs Prometheus can be told from what it costs by itself."""
    for nodes in (10, 100):
        collector = Collector()
        first_port = 21000
        process = subprocess.Popen(
            generator(build, "push", "--nodes", nodes, "--seconds", seconds, "--endpoint",
                      collector.endpoint, "--first-port", first_port, *recordings(MIX)),
            stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"
        prometheus = Prometheus([f"127.0.0.1:{first_port + n}" for n in range(nodes)], interval_s)
        time.sleep(seconds - 5)
        print(f"\n### {nodes} nodes, {seconds} s, scraped every {interval_s} s")
        for text, query in [
                ("targets up", 'sum(up{job="nodes"})'),
                ("series in its head", "prometheus_tsdb_head_series"),
                ("series of a node", 'avg(scrape_samples_scraped{job="nodes"})'),
                ("samples taken a second", "rate(prometheus_tsdb_head_samples_appended_total[30s])"),
                ("longest scrape, s", 'max(scrape_duration_seconds{job="nodes"})'),
                ("startups a second, by its rate()",
                 "sum(rate(startscope_startups_total[30s]))"),
                ("p99 of kernel exec, s", 'histogram_quantile(0.99, sum by (le) (rate('
                 'startscope_startup_phase_duration_seconds_bucket{phase="kernel_exec"}[30s])))'),
                ("its heap, bytes", 'go_memstats_heap_inuse_bytes{job="self"}'),
                ("its resident memory, bytes", 'process_resident_memory_bytes{job="self"}'),
                ("its CPU, s a s", 'rate(process_cpu_seconds_total{job="self"}[30s])')]:
            print(f"prometheus: {text}: {prometheus.value(query)}")
        prometheus.stop()
        said = process.communicate(timeout=120)[0].strip()
        print(said)
        startups = int(re.search(r"startups (\d+)", said).group(1))
        print(f"collector: {len(collector.hosts)} hosts, {collector.roots} startups, {collector.spans} "
              f"spans, {collector.requests} requests, {collector.bytes} bytes, adjusted counts "
              f"{collector.adjusted:.0f} ({100 * (collector.adjusted / startups - 1):+.2f} %)", flush=True)


def live(build, seconds=60, rate=50):
    """Both exporters beside a daemon, while programs are started at that rate."""
    collector = Collector()
    directory = tempfile.mkdtemp(prefix="startscope-scale-")
    address = f"unix://{directory}/sock"
    log = open(os.path.join(directory, "log"), "w")
    children = [subprocess.Popen([build / "bin" / "startscoped", "--listen", address], stderr=log)]
    while "ready" not in open(log.name).read():
        time.sleep(0.1)
    port = free_port()
    exporter = build / "bin" / "startscope-exporter"
    children.append(subprocess.Popen([exporter, "metrics", "--address", address, "--listen",
                                      f"127.0.0.1:{port}"], stderr=log))
    children.append(subprocess.Popen([exporter, "export", "--address", address, "--format", "otlp-http",
                                      "--endpoint", collector.endpoint], stderr=log))
    time.sleep(2)
    tick = os.sysconf("SC_CLK_TCK")

    def cpu_s(process):
        fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / tick

    def resident_kib(process):
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{process.pid}/status").read_text())
                   .group(1))

    before = [cpu_s(child) for child in children]
    program = str(build / "programs" / "hello_glibc_dynamic")
    begin = time.monotonic()
    started = 0
    while time.monotonic() - begin < seconds:
        subprocess.run([program], stdout=subprocess.DEVNULL, check=True)
        started += 1
        time.sleep(max(0, begin + started / rate - time.monotonic()))
    took = time.monotonic() - begin
    time.sleep(2)
    scrape = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    reached = re.search(r'startups_total{outcome="reached"} (\d+)', scrape).group(1)
    print(f"\n### live: {started} starts in {took:.1f} s; metrics counted {reached} that reached main")
    for name, child, at in zip(("startscoped", "metrics", "export"), children, before):
        print(f"{name}: {(cpu_s(child) - at) / took * 100:.2f} % of a CPU, {resident_kib(child)} KiB")
    for child in reversed(children):
        child.send_signal(signal.SIGINT)
        child.wait(timeout=30)
    print(open(log.name).read())
    print(f"collector: {collector.roots} startups, {collector.bytes} bytes, adjusted counts "
          f"{collector.adjusted:.0f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=SOURCE / "build")
    parser.add_argument("parts", nargs="*", help="sizes, simulate, push, live; default: the first three")
    options = parser.parse_args()
    parts = {"sizes": sizes, "simulate": simulate, "push": push, "live": live}
    for part in options.parts or ["sizes", "simulate", "push"]:
        parts[part](options.build.resolve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
