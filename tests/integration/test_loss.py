# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Nothing is lost silently: what the kernel generated is what came and what was counted as dropped, to
the record, by the kernel's own counters."""

import contextlib
import os
import pathlib
import signal
import subprocess
import threading
import time
import unittest

import harness
from rpc import Rpc, as_dict, startup_service_pb2

PAGES = 100000
STARTS = 1000


def loss(status, stage):
    return next(l for l in as_dict(status)["losses"] if l["stage"] == "LOSS_STAGE_" + stage)


@contextlib.contextmanager
def cgroup(name):
    """A control group of its own, as a preexec_fn that enters it and its path below the root."""
    unified = pathlib.Path("/sys/fs/cgroup/unified")
    group = (unified if unified.is_dir() else pathlib.Path("/sys/fs/cgroup")) / name
    group.mkdir(exist_ok=True)
    try:
        yield lambda: (group / "cgroup.procs").write_text(str(os.getpid()))
    finally:
        harness.wait_for(lambda: not (group / "cgroup.procs").read_text(), "an empty group")
        group.rmdir()


class Loss(unittest.TestCase):
    def balance(self, rpc):
        """Polls until all that was generated is accounted for; returns the status."""
        def balanced():
            status = rpc.stub.GetStatus(startup_service_pb2.GetStatusRequest())
            rings = [loss(status, stage) for stage in ("KERNEL_RING", "MAPPING_RING")]
            generated = sum(int(r["produced"]) for r in rings)
            dropped = sum(int(r["lost"]) for r in rings)
            received = int(loss(status, "DECODE")["produced"])
            self.figures = (generated, received, dropped)
            return status if generated - received - dropped == 0 else None
        try:
            return harness.wait_for(balanced, "generated - received - dropped = 0")
        except AssertionError:
            raise AssertionError(f"generated, received, dropped: {self.figures}")

    def test_a_stopped_daemon_accounts_for_every_record(self):
        with harness.Daemon("--ring-bytes", "65536") as daemon, Rpc(daemon) as rpc:
            def start():
                daemon.process.send_signal(signal.SIGSTOP)
                process = subprocess.Popen([harness.program("touch_pages"), str(PAGES)],
                                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
                # A zombie until rpc reaps it: the daemon sees nothing of it while it runs.
                harness.wait_for(
                    lambda: open(f"/proc/{process.pid}/stat").read().split(")")[1].split()[0] == "Z",
                    "the program to end")
                daemon.process.send_signal(signal.SIGCONT)
                return process

            # Its own end is dropped too, so that a deadline must end the startup.
            traced = rpc.watch(start, deadline_s=3, level="LEVEL_OBJECTS",
                               prepare_executables=[harness.program("touch_pages")])
            status = self.balance(rpc)
            ring = loss(status, "KERNEL_RING")
            self.assertGreater(int(ring["produced"]), PAGES)
            self.assertGreater(int(ring["lost"]), PAGES // 2)
            self.assertEqual(ring["knob"], "--ring-bytes")
            told = sum(int(l["count"]) for l in traced.losses
                       if l["stage"] == "LOSS_STAGE_KERNEL_RING")
            self.assertEqual(told, int(ring["lost"]), "what the stream said")
            kinds = {d["kind"] for d in traced.startups[0]["degradations"]}
            self.assertIn("DEGRADATION_KIND_RECORDS_LOST", kinds)

    def test_many_starts_lose_nothing_with_defaults(self):
        hello = harness.program("hello_musl_static")
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            began = time.monotonic()
            traced = rpc.run([harness.program("fork_storm"), str(STARTS), hello],
                             startups=STARTS + 1, level="LEVEL_PHASES")
            rate = STARTS / (time.monotonic() - began)
            print(f"{rate:.0f} starts/s", end=" ")
            status = self.balance(rpc)
            self.assertEqual(traced.losses, [])
            for counter in as_dict(status)["losses"]:
                self.assertEqual(counter["lost"], "0", counter)

    def test_a_group_that_begins_too_much_is_throttled_and_the_others_are_not(self):
        hello = harness.program("hello_musl_static")
        rate, storm, calm = 20, 400, 15
        with harness.Daemon("--cgroup-rate", str(rate)) as daemon, Rpc(daemon) as rpc, \
                cgroup("startscope-storm") as in_storm, cgroup("startscope-calm") as in_calm:
            message = startup_service_pb2.WatchStartupsRequest(until="UNTIL_EXIT")
            message.allow.add().cgroup_path.append("/startscope-storm")
            message.allow.add().cgroup_path.append("/startscope-calm")
            stream = rpc.stub.WatchStartups(message, timeout=60)
            delivered, throttled, pids = {}, {}, {}

            def run():
                for name, count, enter in (("storm", storm, in_storm), ("calm", calm, in_calm)):
                    done = subprocess.run([harness.program("fork_storm"), str(count), hello],
                                          stdout=subprocess.PIPE, text=True, preexec_fn=enter,
                                          check=True)
                    pids[name] = [int(line) for line in done.stdout.split()]

            work = threading.Thread(target=run)
            for response in stream:
                kind = response.WhichOneof("event")
                if kind == "armed":
                    work.start()
                elif kind == "startup_finished":
                    path = response.startup_finished.process.cgroup_path
                    delivered[path] = delivered.get(path, 0) + 1
                elif kind == "throttled":
                    path = response.throttled.cgroup_path
                    throttled[path] = throttled.get(path, 0) + response.throttled.count
                # fork_storm itself is started too.
                if sum(delivered.values()) + sum(throttled.values()) >= storm + calm + 2:
                    break
            stream.cancel()
            work.join()
            status = rpc.stub.GetStatus(startup_service_pb2.GetStatusRequest())
        print(delivered, throttled, end=" ")
        self.assertEqual(delivered.get("/startscope-calm"), calm + 1)
        self.assertEqual(list(throttled), ["/startscope-storm"])
        self.assertEqual(delivered["/startscope-storm"] + throttled["/startscope-storm"], storm + 1)
        counter = loss(status, "THROTTLED")
        self.assertEqual(int(counter["lost"]), throttled["/startscope-storm"])
        self.assertEqual(counter["knob"], "--cgroup-rate")


if __name__ == "__main__":
    unittest.main()
