# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Where the time went: each reason against a program that spends its time in just that way, or against
another program's account of it."""

import os
import pathlib
import re
import subprocess
import unittest

import harness
from rpc import Rpc


def blame_of(startup):
    """reason -> nanoseconds."""
    sums = {}
    for share in startup["blame"]:
        reason = share["reason"].replace("TIME_REASON_", "")
        sums[reason] = sums.get(reason, 0) + int(share["duration_ns"])
    return sums


class CpuQuota:
    """A control group that may use `share` of one CPU."""

    def __init__(self, share):
        period_us = 20000
        v1 = pathlib.Path("/sys/fs/cgroup/cpu")
        self.path = (v1 if v1.is_dir() else pathlib.Path("/sys/fs/cgroup")) / "startscope-test"
        self.path.mkdir(exist_ok=True)
        if v1.is_dir():
            (self.path / "cpu.cfs_period_us").write_text(str(period_us))
            (self.path / "cpu.cfs_quota_us").write_text(str(int(period_us * share)))
        else:
            (self.path.parent / "cgroup.subtree_control").write_text("+cpu")
            (self.path / "cpu.max").write_text(f"{int(period_us * share)} {period_us}")

    def join(self):
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def throttled_ns(self):
        fields = dict(line.split() for line in (self.path / "cpu.stat").read_text().splitlines())
        if "throttled_time" in fields:
            return int(fields["throttled_time"])
        return int(fields["throttled_usec"]) * 1000

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.path.rmdir()


def stolen_ns():
    """What the hypervisor took of all CPUs so far (proc_stat(5)), in ticks: up to one of them is not told yet."""
    ticks = int(pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[8])
    return ticks * 1e9 / os.sysconf("SC_CLK_TCK")


class Blame(unittest.TestCase):
    def test_running(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            stolen_before = stolen_ns()
            traced = rpc.run([harness.program("burn_cpu"), "100"], waits=True)
            startup = traced.startups[0]
            harness.check_startup(self, startup)
            sums = blame_of(startup)
            used_ns = (traced.usage.ru_utime + traced.usage.ru_stime) * 1e9
            self.assertGreater(sums["RUNNING"], 95e6)
            on_cpu = sum(sums.get(r, 0) for r in ("RUNNING", "KERNEL_EXEC", "MINOR_FAULT"))
            # The kernel does not charge a process with what the hypervisor took while it ran.
            stolen = stolen_ns() - stolen_before + 1e9 / os.sysconf("SC_CLK_TCK")
            self.assertLess(on_cpu, used_ns * 1.05 + stolen)

    def test_waiting_for_a_cpu(self):
        # Four programs on one CPU: each waits three quarters of its time.
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            for options in ({"waits": True}, {}):
                cpu = min(os.sched_getaffinity(0))
                busy = [subprocess.Popen(["taskset", "-c", str(cpu), harness.program("burn_cpu"), "4000"])
                        for _ in range(3)]
                try:
                    traced = rpc.run(
                        [harness.program("burn_cpu"), "200"], **options,
                        popen={"preexec_fn": lambda: os.sched_setaffinity(0, {cpu})})
                finally:
                    for process in busy:
                        process.kill()
                        process.wait()
                startup = traced.startups[0]
                harness.check_startup(self, startup)
                sums = blame_of(startup)
                waited = int(startup["total_ns"]) - 200e6
                self.assertGreater(waited, 100e6)
                self.assertAlmostEqual(sums["RUN_QUEUE"] / waited, 1, delta=0.15)

    def test_blocked_otherwise(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            startup = rpc.run(["/usr/bin/sleep", "0.2"], waits=True).startups[0]
            sums = blame_of(startup)
            self.assertAlmostEqual(sums["BLOCKED_OTHER"] / 200e6, 1, delta=0.05)
            # Without every wait being recorded it is known too, as nothing was read from storage.
            startup = rpc.run(["/usr/bin/sleep", "0.2"]).startups[0]
            self.assertEqual(startup["storage"]["bytes"], "0")
            sums = blame_of(startup)
            not_running = sums.get("BLOCKED_OTHER", 0) + sums.get("RUN_QUEUE", 0)
            # It may have to wait for a CPU as well.
            self.assertGreater(not_running / 200e6, 0.95)
            self.assertLess(sums["BLOCKED_OTHER"] / 200e6, 1.05)

    def test_throttled_is_what_the_control_group_says(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc, CpuQuota(0.25) as quota:
            for options in ({"waits": True}, {}):
                # On a busy host others run in the same moments, and some of the time has two reasons: the
                # closest of a few, of those that used their quota up for long enough.
                ratios = []
                for _ in range(20):
                    before = quota.throttled_ns()
                    startup = rpc.run([harness.program("burn_cpu"), "60"], **options,
                                      popen={"preexec_fn": quota.join}).startups[0]
                    throttled = quota.throttled_ns() - before
                    harness.check_startup(self, startup)
                    if throttled > 50e6:
                        ratios.append(blame_of(startup)["THROTTLED"] / throttled)
                    if ratios and abs(ratios[-1] - 1) <= 0.05:
                        break
                self.assertAlmostEqual(ratios[-1], 1, delta=0.05, msg=ratios)

    def test_minor_faults(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            startup = rpc.run([harness.program("touch_pages"), "20000"], waits=True).startups[0]
            harness.check_startup(self, startup)
            sums = blame_of(startup)
            # It hardly does anything else, when it is let run.
            self.assertGreater(sums["MINOR_FAULT"],
                               0.25 * (int(startup["total_ns"]) - sums.get("RUN_QUEUE", 0)))
            by_object = sum(int(o.get("fault_ns", 0)) for o in startup["objects"])
            self.assertLessEqual(sums["MINOR_FAULT"], by_object)

    def test_cpuid_trapped_by_a_hypervisor(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            traced = rpc.run([harness.program("cpuid_loop"), "2000"], samples=True)
            took_ns = int(traced.output)
            trapped = blame_of(traced.startups[0]).get("CPUID_TRAP", 0)
            if took_ns / 2000 > 1000:  # an exit to the hypervisor, a thousand cycles and more
                # Ticks that fall into one exit are one: a busy host, whose exits outlast the period, and
                # whoever else wants the CPU meanwhile, leave less to be seen.
                on_cpu = sum(int(p["on_cpu_ns"]) for p in traced.startups[0]["phases"])
                self.assertGreater(trapped / on_cpu, 0.25)
                self.assertLess(trapped / took_ns, 1.3)
            else:
                self.assertLess(trapped, 1e6)


if __name__ == "__main__":
    unittest.main()
