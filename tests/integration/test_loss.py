# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Nothing is lost silently: what the kernel generated is what came and what was counted as dropped, to
the record, by the kernel's own counters."""

import signal
import subprocess
import time
import unittest

import harness
from rpc import Rpc, as_dict, startup_service_pb2

PAGES = 100000
STARTS = 1000


def loss(status, stage):
    return next(l for l in as_dict(status)["losses"] if l["stage"] == "LOSS_STAGE_" + stage)


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


if __name__ == "__main__":
    unittest.main()
