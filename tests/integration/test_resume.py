# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""A watch that is cut and comes back: it gets what it missed, each once, or learns what it cannot have."""

import json
import os
import signal
import subprocess
import unittest

import harness
from rpc import Rpc, startup_service_pb2

HELLO = "hello_musl_static"


def request(**fields):
    message = startup_service_pb2.WatchStartupsRequest(until="UNTIL_EXIT", **fields)
    message.allow.add().executable.append(harness.program(HELLO))
    message.keep_armed.seconds = 30
    return message


class Stream:
    """One WatchStartups call, read message by message."""

    def __init__(self, rpc, message):
        self.call = rpc.stub.WatchStartups(message, timeout=60)
        self.token = ""
        self.gaps = []
        self.pids = []
        self.replayed = 0

    def read(self, until):
        for response in self.call:
            self.token = response.resume_token or self.token
            kind = response.WhichOneof("event")
            if kind == "resume_gap":
                self.gaps.append(response.resume_gap)
            elif kind == "startup_finished":
                self.pids.append(response.startup_finished.process.pid)
                self.replayed += response.replayed
            if until(kind):
                return


def start(count):
    """Runs it so often; the pids."""
    done = subprocess.run([harness.program("fork_storm"), str(count), harness.program(HELLO)],
                          stdout=subprocess.PIPE, text=True, check=True)
    return [int(line) for line in done.stdout.split()]


class Resume(unittest.TestCase):
    def test_a_cut_stream_gets_each_startup_once(self):
        with harness.Daemon() as daemon:
            with Rpc(daemon) as rpc:
                first = Stream(rpc, request())
                first.read(lambda kind: kind == "armed")
                wanted = start(20)
                first.read(lambda kind: len(first.pids) == 10)
            wanted += start(20)  # nobody listens
            with Rpc(daemon) as rpc:
                second = Stream(rpc, request(resume_token=first.token))
                second.read(lambda kind: kind == "armed")
                wanted += start(20)
                second.read(lambda kind: len(second.pids) == 50)
                second.call.cancel()
            self.assertEqual(first.pids + second.pids, wanted)
            self.assertEqual(second.gaps, [])
            self.assertGreaterEqual(second.replayed, 10)

    def test_what_left_the_ring_is_counted_exactly(self):
        with harness.Daemon("--keep", "16") as daemon:
            with Rpc(daemon) as rpc:
                first = Stream(rpc, request())
                first.read(lambda kind: kind == "armed")
                wanted = start(1)
                first.read(lambda kind: len(first.pids) == 1)
            # Some of these come before the daemon has noticed the cut.
            start(100)
            with Rpc(daemon) as rpc:
                second = Stream(rpc, request(resume_token=first.token))
                wanted = start(1)
                second.read(lambda kind: wanted[0] in second.pids)
                second.call.cancel()
            (gap,) = second.gaps
            self.assertEqual(startup_service_pb2.ResumeGapReason.Name(gap.reason),
                             "RESUME_GAP_REASON_RING_OVERRAN")
            self.assertEqual(gap.matching + len(second.pids), 101)

    def test_a_killed_daemon_is_waited_for_and_the_gap_is_told(self):
        with harness.Daemon() as daemon:
            client = subprocess.Popen(
                [str(harness.CLIENT), "--address", daemon.address, "watch", "--format", "json",
                 "--exe", harness.program(HELLO)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            os.set_blocking(client.stdout.fileno(), False)
            lines, rest = [], [b""]

            def seen(*wanted):
                """Runs the program until the client has printed lines that fit, in this order."""
                start(1)
                *whole, rest[0] = (rest[0] + (client.stdout.read() or b"")).split(b"\n")
                lines.extend(json.loads(line) for line in whole)
                kinds = iter(kind for line in lines for kind in line)
                return all(what in kinds for what in wanted)

            harness.wait_for(lambda: seen("startup_id"), "a startup")
            daemon.kill()
            start(5)
            daemon.start()
            harness.wait_for(lambda: seen("resume_gap", "startup_id"), "a startup after the restart")
            client.send_signal(signal.SIGINT)
            _, errors = client.communicate(timeout=harness.WAIT_S)
            errors = errors.decode()
            self.assertEqual(client.returncode, 0, errors)
            gaps = [line["resume_gap"] for line in lines if "resume_gap" in line]
            self.assertEqual([g["reason"] for g in gaps], ["RESUME_GAP_REASON_DAEMON_RESTARTED"])
            self.assertEqual(errors.count("trying again"), 1, errors)


if __name__ == "__main__":
    unittest.main()
