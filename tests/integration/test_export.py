# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""`startscope export` beside a live daemon: what a collector on loopback gets, and what becomes of startups when
there is none."""

import gzip
import http.server
import json
import os
import re
import signal
import subprocess
import threading
import unittest

import harness


class Collector:
    """Takes OTLP/HTTP in JSON on a free port of loopback, a connection for each request; keeps what it got."""

    def __init__(self, port=0):
        collector = self
        self.requests = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.requests.append((self.path, json.loads(body)))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *unused):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def roots(self):
        """The root spans of all that came, each with its resource's and its scope's attributes."""
        result = []
        for _, request in list(self.requests):
            for resource in request["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    result += [(span, attributes(resource["resource"]), attributes(scope["scope"]))
                               for span in scope["spans"] if "parentSpanId" not in span]
        return result

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def attributes(message):
    return {a["key"]: next(iter(a["value"].values())) for a in message.get("attributes", [])}


class Export:
    """`startscope export` in the background."""

    def __init__(self, daemon, *flags, env=None):
        self.log_path = os.path.join(daemon.directory, "export-log")
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen(
                [str(harness.CLIENT), "--address", daemon.address, "export", *flags],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=dict(os.environ, STARTSCOPE_EXPORTER=str(harness.EXPORTER), **(env or {})),
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        harness.wait_for(lambda: "on_process_exec" in harness.attached_programs()
                         or self.process.poll() is not None, "the watch to be armed")
        # The rules are written after the probes are attached.
        harness.client("status", address=daemon.address)

    def log(self):
        with open(self.log_path) as log:
            return log.read()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=harness.WAIT_S)


class ExportTest(unittest.TestCase):
    def setUp(self):
        self.daemon = harness.Daemon()
        self.addCleanup(self.daemon.__exit__)
        self.program = harness.program("hello_glibc_dynamic")

    def collector(self, port=0):
        collector = Collector(port)
        self.addCleanup(collector.stop)
        return collector

    def export(self, *flags, **options):
        export = Export(self.daemon, "--exe", self.program, *flags, **options)
        self.addCleanup(export.stop)
        return export

    def run_program(self, count=1):
        for _ in range(count):
            subprocess.run([self.program], stdout=subprocess.DEVNULL, check=True)

    def run_until(self, condition, what):
        """Runs the program now and then until something has come of it."""
        def tried():
            self.run_program()
            return condition()
        return harness.wait_for(tried, what)

    def test_a_collector_gets_a_trace_for_each_startup(self):
        collector = self.collector()
        export = self.export("--format", "otlp-http", "--protocol", "http/json", "--sample", "1",
                             "--rate", "0",
                             env={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
                                  "OTEL_SERVICE_NAME": "fleet",
                                  "OTEL_RESOURCE_ATTRIBUTES": "k8s.node.name=node%2D7"})
        self.run_until(collector.roots, "a trace at the collector")
        self.assertEqual(export.stop(), 0, export.log())
        said = int(re.search(r"exported (\d+) of", export.log()).group(1))
        roots = collector.roots()
        self.assertEqual(len(roots), said, export.log())
        self.assertEqual({path for path, _ in collector.requests}, {"/v1/traces"})
        self.assertEqual(len({span["traceId"] for span, _, _ in roots}), said)
        for span, resource, _ in roots:
            self.assertEqual(span["name"], "startup")
            self.assertEqual(span["traceState"], "ot=th:0")
            self.assertEqual(attributes(span)["process.executable.path"], self.program)
            self.assertEqual(resource["service.name"], "fleet")
            self.assertEqual(resource["k8s.node.name"], "node-7")
            self.assertIn("host.name", resource)
        spans = [span for _, request in collector.requests
                 for span in request["resourceSpans"][0]["scopeSpans"][0]["spans"]]
        for root, _, _ in roots:
            phases = [s for s in spans if s.get("parentSpanId") == root["spanId"]]
            self.assertTrue(phases)
            self.assertEqual(sum(int(p["endTimeUnixNano"]) - int(p["startTimeUnixNano"])
                                 for p in phases),
                             int(root["endTimeUnixNano"]) - int(root["startTimeUnixNano"]))

    def test_a_collector_that_goes_away_leaves_counted_drops(self):
        collector = Collector()
        export = self.export("--format", "otlp-http", "--protocol", "http/json", "--sample", "1",
                             "--rate", "0", "--endpoint", collector.endpoint)
        self.run_until(collector.roots, "a trace at the collector")
        collector.stop()
        delivered = len(collector.roots())
        self.run_program(40)  # the last ones may not have come when it is stopped
        self.assertEqual(export.stop(), 8, export.log())
        exported, offered = map(int, re.search(r"exported (\d+) of (\d+) startup",
                                               export.log()).groups())
        dropped = int(re.search(r"dropped (\d+) startup", export.log()).group(1))
        self.assertGreaterEqual(dropped, 20)
        self.assertEqual(exported, delivered)
        self.assertEqual(exported + dropped, offered, export.log())
        self.assertIn(collector.endpoint, export.log())

    def test_by_default_startups_are_sampled_and_counted(self):
        lines = os.path.join(self.daemon.directory, "traces.jsonl")
        export = self.export("--output", lines, "--limit", "40", "--slow", "3600")
        self.run_until(lambda: export.process.poll() is not None, "forty startups")
        self.assertEqual(export.process.returncode, 0, export.log())
        with open(lines) as file:
            traces = [json.loads(line) for line in file]
        kept = len(traces)
        left_out, over_rate = map(int, re.search(r"by sampling (\d+), for --rate (\d+)",
                                                 export.log()).groups())
        self.assertEqual(kept + left_out + over_rate, 40, export.log())
        for trace in traces:
            root = trace["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
            self.assertGreaterEqual(float(attributes(root)["startscope.sampling.adjusted_count"]), 1)

    def test_startups_in_json_become_lines_of_otlp(self):
        startup, = harness.run([self.program], "--level", "objects", daemon=self.daemon)
        done = subprocess.run([str(harness.CLIENT), "export", "-"],
                              input=json.dumps(startup) + "\nnonsense\n", text=True,
                              capture_output=True,
                              env=dict(os.environ, STARTSCOPE_EXPORTER=str(harness.EXPORTER)))
        self.assertEqual(done.returncode, 8, done.stderr)
        self.assertIn("stdin:2: not a startup", done.stderr)
        trace = json.loads(done.stdout)
        root, *phases = trace["resourceSpans"][0]["scopeSpans"][0]["spans"]
        self.assertEqual(len(phases), len(startup["phases"]))
        self.assertEqual(int(root["endTimeUnixNano"]) - int(root["startTimeUnixNano"]),
                         int(startup["total_ns"]))
        self.assertTrue(root["events"])
        self.assertIn("process.executable.build_id.gnu", attributes(root))


if __name__ == "__main__":
    unittest.main()
