# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Nothing is lost silently: what the kernel generated is what came and what was counted as dropped, to
the record, by the kernel's own counters."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import threading
import time
import unittest

import grpc

import harness
from rpc import Rpc, as_dict, grpc, startup_service_pb2

PAGES = 100000
STARTS = 1000
TURNS = 20000
BOMBS = 4
CALM = 2000 if os.environ.get("STARTSCOPE_LONG") else 200


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

    def while_stopped(self, daemon, *command):
        """A start() for Rpc.watch: the daemon sees nothing of the command while it runs."""
        def start():
            daemon.process.send_signal(signal.SIGSTOP)
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            # A zombie until rpc reaps it.
            harness.wait_for(
                lambda: open(f"/proc/{process.pid}/stat").read().split(")")[1].split()[0] == "Z",
                "the program to end")
            daemon.process.send_signal(signal.SIGCONT)
            return process
        return start

    def told(self, traced, stage):
        return sum(int(l["count"]) for l in traced.losses if l["stage"] == "LOSS_STAGE_" + stage)

    def lost_details(self, startup):
        return [d["detail"] for d in startup["degradations"]
                if d["kind"] == "DEGRADATION_KIND_RECORDS_LOST"]

    def test_a_stopped_daemon_accounts_for_every_record(self):
        with harness.Daemon("--ring-bytes", "65536") as daemon, Rpc(daemon) as rpc:
            touch = harness.program("touch_pages")
            # Its own end is dropped too, so that a deadline must end the startup.
            traced = rpc.watch(self.while_stopped(daemon, touch, str(PAGES)), deadline_s=3,
                               level="LEVEL_OBJECTS", prepare_executables=[touch])
            status = self.balance(rpc)
            ring = loss(status, "KERNEL_RING")
            self.assertGreater(int(ring["produced"]), PAGES)
            self.assertGreater(int(ring["lost"]), PAGES // 2)
            self.assertEqual(ring["knob"], "--ring-bytes")
            self.assertEqual(self.told(traced, "KERNEL_RING"), int(ring["lost"]), "what the stream said")
            self.assertIn("--ring-bytes", str(self.lost_details(traced.startups[0])))
            doctor = harness.client("doctor", "--format", "json", address=daemon.address)
            remedies = [f["remedy"] for f in json.loads(doctor.stdout)["findings"]
                        if f["subject"] == "losses: kernel ring"]
            self.assertEqual(remedies, ["raise the daemon's --ring-bytes"])

    def test_what_the_mapping_ring_drops_is_told_without_a_record_that_tells_it(self):
        with harness.Daemon("--mapping-ring-pages", "8") as daemon, Rpc(daemon) as rpc:
            program = harness.program("map_loop")
            files = ["/etc/passwd", "/etc/group"]
            traced = rpc.watch(self.while_stopped(daemon, program, str(TURNS), *files),
                               level="LEVEL_OBJECTS", prepare_executables=[program])
            status = self.balance(rpc)
            ring = loss(status, "MAPPING_RING")
            # Two files a turn; others on this machine map something too.
            self.assertGreaterEqual(int(ring["produced"]), 2 * TURNS)
            self.assertGreater(int(ring["lost"]), TURNS)
            self.assertEqual(ring["knob"], "--mapping-ring-pages")
            # What others map after the stream may be dropped too.
            self.assertGreater(self.told(traced, "MAPPING_RING"), TURNS)
            self.assertLessEqual(self.told(traced, "MAPPING_RING"), int(ring["lost"]))
            self.assertIn("--mapping-ring-pages", str(self.lost_details(traced.startups[0])))

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
                # Others on this machine may map much without being followed.
                if not counter["eviction"]:
                    self.assertEqual(counter["lost"], "0", counter)

    def test_a_group_that_begins_too_much_is_throttled_and_the_others_are_not(self):
        hello = harness.program("hello_musl_static")
        rate, storm, calm = 20, 400, 15
        with harness.Daemon("--cgroup-rate", str(rate)) as daemon, Rpc(daemon) as rpc, \
                cgroup("startscope-storm") as in_storm, cgroup("startscope-calm") as in_calm:
            message = startup_service_pb2.WatchStartupsRequest(until="UNTIL_EXIT")
            message.allow.add().cgroup_path.append("/startscope-storm")
            message.allow.add().cgroup_path.append("/startscope-calm")
            stream = rpc.stub.WatchStartups(message, timeout=120)
            self.assertTrue(next(stream).HasField("armed"))
            delivered, throttled = {}, {}

            def read():
                with contextlib.suppress(grpc.RpcError):
                    for response in stream:
                        if response.HasField("startup_finished"):
                            path = response.startup_finished.process.cgroup_path
                            delivered[path] = delivered.get(path, 0) + 1
                        elif response.HasField("throttled"):
                            path = response.throttled.cgroup_path
                            throttled[path] = throttled.get(path, 0) + response.throttled.count

            def run(count, enter):
                subprocess.run([harness.program("fork_storm"), str(count), hello], stdout=subprocess.DEVNULL,
                               preexec_fn=enter, check=True)

            rounds, calm_over = [], threading.Event()

            def rage():
                while not calm_over.is_set():
                    run(storm, in_storm)
                    rounds.append(storm + 1)  # fork_storm itself is started too

            threads = [threading.Thread(target=read), threading.Thread(target=rage)]
            for thread in threads:
                thread.start()
            # The others start when the storm is throttled already, one after the other, amid it.
            harness.wait_for(lambda: throttled, "the storm to be throttled")
            run(calm, in_calm)
            calm_over.set()
            threads[1].join()
            started = {"/startscope-storm": sum(rounds), "/startscope-calm": calm + 1}
            harness.wait_for(
                lambda: sum(delivered.values()) + sum(throttled.values()) >= sum(started.values()),
                "all starts to be told of or counted")
            stream.cancel()
            threads[0].join()
            status = rpc.stub.GetStatus(startup_service_pb2.GetStatusRequest())
        print(delivered, throttled, end=" ")
        self.assertEqual(delivered.get("/startscope-calm"), started["/startscope-calm"])
        self.assertEqual(list(throttled), ["/startscope-storm"])
        self.assertEqual(delivered["/startscope-storm"] + throttled["/startscope-storm"],
                         started["/startscope-storm"])
        counter = loss(status, "THROTTLED")
        # What else this machine starts may be throttled too.
        self.assertGreaterEqual(int(counter["lost"]), throttled["/startscope-storm"])
        self.assertEqual(counter["knob"], "--cgroup-rate")

    def test_a_fork_bomb_in_one_group_costs_the_starts_of_another_none(self):
        hello, calm_one = harness.program("hello_musl_static"), harness.program("hello_glibc_static")
        with harness.Daemon("--cgroup-rate", "100") as daemon, Rpc(daemon) as rpc, \
                cgroup("startscope-bomb") as in_bomb, cgroup("startscope-calm") as in_calm:
            streams, told, started = [], [], []
            for program in (hello, calm_one):
                message = startup_service_pb2.WatchStartupsRequest(until="UNTIL_EXIT")
                message.allow.add().executable.append(program)
                streams.append(rpc.stub.WatchStartups(message, timeout=300))
                self.assertEqual(next(streams[-1]).WhichOneof("event"), "armed")

            def read(stream):
                with contextlib.suppress(grpc.RpcError):
                    for response in stream:
                        if response.WhichOneof("event") == "startup_finished":
                            told.append(response.startup_finished.process.pid)

            threading.Thread(target=read, args=(streams[1],), daemon=True).start()
            bombs = [subprocess.Popen([harness.program("fork_storm"), "1000000", hello],
                                      stdout=subprocess.DEVNULL, preexec_fn=in_bomb)
                     for _ in range(BOMBS)]
            try:
                # One after the other: below the rate of a group, whatever the machine does.
                for _ in range(CALM):
                    one = subprocess.Popen([calm_one], stdout=subprocess.DEVNULL, preexec_fn=in_calm)
                    one.wait()
                    started.append(one.pid)
                    time.sleep(0.02)
                harness.wait_for(lambda: len(told) >= len(started), "every start of the calm group")
            finally:
                for process in bombs:
                    process.kill()
                    process.wait()
                for stream in streams:
                    stream.cancel()
            status = rpc.stub.GetStatus(startup_service_pb2.GetStatusRequest())
        throttled = int(loss(status, "THROTTLED")["lost"])
        print(f"{len(told)} of {CALM} beside {throttled} throttled", end=" ")
        self.assertEqual(sorted(told), sorted(started))
        self.assertGreater(throttled, 0)


if __name__ == "__main__":
    unittest.main()
