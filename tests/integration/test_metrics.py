# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""`startscope metrics` beside a live daemon: what a scrape says, and that Prometheus's own checker takes it."""

import os
import re
import signal
import subprocess
import unittest
import urllib.error
import urllib.request

import harness


class Metrics:
    """`startscope metrics` on a free port."""

    def __init__(self, daemon, *flags):
        environment = dict(os.environ, STARTSCOPE_EXPORTER=str(harness.EXPORTER))
        self.log_path = os.path.join(daemon.directory, "metrics-log")
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen(
                [str(harness.CLIENT), "--address", daemon.address, "metrics", "--listen",
                 "127.0.0.1:0", *flags],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        self.url = harness.wait_for(self._find_url, "the address of the metrics")

    def log(self):
        with open(self.log_path) as log:
            return log.read()

    def _find_url(self):
        found = re.search(r"metrics at (http://[^ ]+)/metrics\n", self.log())
        if not found and self.process.poll() is not None:
            raise AssertionError(self.log())
        return found and found.group(1)

    def get(self, path):
        """Status and text."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=harness.WAIT_S) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def value(self, series):
        """The value of a series by its whole text; None: there is none."""
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(series + " "):
                return float(line.rsplit(" ", 1)[1])
        return None

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=harness.WAIT_S)


class MetricsTest(unittest.TestCase):
    def setUp(self):
        self.daemon = harness.Daemon()
        self.addCleanup(self.daemon.__exit__)

    def start(self, *flags):
        metrics = Metrics(self.daemon, *flags)
        self.addCleanup(lambda: metrics.process.poll() is None and metrics.stop())
        harness.wait_for(lambda: metrics.get("/healthz")[0] == 200, "the watch to be live")
        return metrics

    def test_scrape_has_what_started_and_promtool_takes_it(self):
        program = harness.program("hello_glibc_dynamic")
        metrics = self.start("--exe", program, "--label", "executable")
        series = f'startscope_group_startups_total{{executable="{program}",outcome="reached"}}'

        def five_reached():
            # The first of a program that is new may end before its marks are found.
            subprocess.run([program], stdout=subprocess.DEVNULL, check=True)
            return (metrics.value(series) or 0) >= 5

        harness.wait_for(five_reached, "five startups")

        def consistent():
            # A scrape in the middle of a startup has it in some and not yet in others.
            text = metrics.get("/metrics")[1]
            reached = re.search(r'startups_total{outcome="reached"} (\d+)\n', text).group(1)
            counts = [f"startscope_startup_{histogram} {reached}\n" in text for histogram in
                      ('duration_seconds_count{language="c_or_cpp",libc="glibc"}',
                       'phase_duration_seconds_count{phase="relocation"}')]
            return text if all(counts) else None

        text = harness.wait_for(consistent, "counters and histograms to agree")
        self.assertIn("startscope_daemon_up 1\n", text)
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                                 capture_output=True)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        self.assertEqual(metrics.stop(), 0, metrics.log())

    def test_an_outage_is_told_and_survived(self):
        metrics = self.start()
        self.daemon.stop()
        harness.wait_for(lambda: metrics.get("/healthz")[0] == 503, "the outage to be seen")
        self.assertEqual(metrics.value("startscope_daemon_up"), 0)
        self.daemon.start()
        harness.wait_for(lambda: metrics.get("/healthz")[0] == 200, "the watch to be back")
        self.assertEqual(metrics.value("startscope_watch_reconnects_total"), 1)
        self.assertEqual(metrics.value('startscope_watch_gaps_total{reason="daemon_restarted"}'), 1)

    def test_without_a_daemon_or_a_free_port_it_says_so(self):
        done = harness.client("metrics", "--listen", "127.0.0.1:0",
                              address="unix:///nonexistent/socket")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("/nonexistent/socket", done.stderr)
        metrics = self.start()
        done = harness.client("metrics", "--listen", metrics.url.removeprefix("http://"),
                              address=self.daemon.address)
        self.assertEqual(done.returncode, 7, done.stderr)
        self.assertIn("--listen", done.stderr)


if __name__ == "__main__":
    unittest.main()
