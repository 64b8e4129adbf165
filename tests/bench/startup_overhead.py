#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""startup_overhead.py --build DIR [--rounds N] [--starts N] [--programs A,B] [--tracers A,B] [--details] [--gate]: what
being watched costs a program start, beside the peers. In every round each tracer has one block of starts, one after
the other, in an order drawn anew; it is armed just before and disarmed just after, and between two blocks lies one of
native starts. A block's figure is its 10th percentile (and its median) as a ratio to the mean of the native blocks
before and after it. Printed are the median of these ratios over the rounds, its standard error, and their middle
half. --details adds what is asked for beside a level, and what starts pay that a watch leaves out. --gate fails when
a ratio of startscope is beyond a generous bound. Needs root."""

import argparse
import os
import random
import statistics
import subprocess
import sys
import time

import tracers

# Program, as built for the tests; how many starts a turn of the quick tracers has, at --starts 100.
PROGRAMS = {
    "glibc": (["hello_glibc_dynamic"], 1.0),
    "musl": (["hello_musl_dynamic"], 1.0),
    "static": (["hello_glibc_static"], 1.0),
    "no_std": (["freestanding_rust"], 1.0),
    "rust": (["hello_rust"], 1.0),
    "go": (["hello_go"], 0.6),
    "python3": (["/usr/bin/python3", "-c", "pass"], 0.1),
    "60 libraries": (["many_libraries"], 0.2),
    "200 libraries": (["huge_libraries"], 0.05),
}
# Arming a slow tracer takes seconds, its starts are slow, and its ratios far from 1: it has a block in each tenth
# round, of fewer starts.
SLOW_EVERY = 10
SLOW_SHARE = 0.25
# The first starts after arming run over code that the kernel has just changed.
UNCOUNTED = 8
# What a peer cannot run: ltrace needs a table of dynamic symbols.
CANNOT = {("ltrace", "static"), ("ltrace", "no_std"), ("ltrace", "go")}
# With --gate: far above what is measured, so that only a gross regression fails on a noisy machine.
GATE = {"phases": 2.0, "objects": 2.0, "pages": 3.0}
# Long enough for the look-ups of files that a tracer meets for the first time.
SETTLE_S = 0.3


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Loop:
    """Starts of one program, so many to a block."""

    def __init__(self, harness, name, starts):
        command, share = PROGRAMS[name]
        self.name = name
        self.prefix = [str(harness.BUILD / "bench" / "spawn_loop"), "0"]
        self.command = harness.command_of(command)
        self.starts = max(3, int(starts * share))

    def run(self, tracer, starts):
        """10th percentile and median, in nanoseconds."""
        starts += UNCOUNTED
        done = subprocess.run(tracer.wrap([*self.prefix, str(starts), *self.command]), capture_output=True, text=True,
                              env=dict(os.environ, **tracer.environment))
        if done.returncode != 0:
            raise RuntimeError(f"{tracer.name}: {self.command}: {done.returncode} {done.stderr[-500:]}")
        times = [int(line.split()[0]) for line in done.stdout.splitlines()][UNCOUNTED:]
        return percentile(times, 0.1), statistics.median(times)


class Cell:
    """The ratios of one tracer and program."""

    def __init__(self):
        self.lows = []
        self.middles = []
        self.starts = 0

    def add(self, block, before, after, starts):
        self.lows.append(2 * block[0] / (before[0] + after[0]))
        self.middles.append(2 * block[1] / (before[1] + after[1]))
        self.starts += starts


def summarize(ratios):
    """Median, its standard error by the median deviation, and the middle half."""
    middle = statistics.median(ratios)
    if len(ratios) < 4:
        return f"{middle:.3f}"
    error = 1.253 * 1.483 * statistics.median(abs(r - middle) for r in ratios) / len(ratios) ** 0.5
    quarters = statistics.quantiles(ratios, n=4)
    return f"{middle:.3f} ± {error:.3f} ({quarters[0]:.3f} to {quarters[2]:.3f})"


def measure(loop, conditions, rounds):
    """Cell by tracer's name, and the native 10th percentiles."""
    native = tracers.Native()
    natives = []

    def run_native():
        natives.append(loop.run(native, loop.starts))
        return natives[-1]

    able = [c for c in conditions if not any(loop.name == program and peer in c.name for peer, program in CANNOT)]
    cells = {c.name: Cell() for c in able}
    started = []
    try:
        for condition in able:
            if condition.quick:
                condition.start()
                started.append(condition)
                loop.run(condition, 2)  # its files are known, its pages in memory
                time.sleep(SETTLE_S)
                if isinstance(condition, tracers.Startscope):
                    condition.disarm()
        before = run_native()
        for round_number in range(rounds):
            turns = [c for c in able if c.quick or round_number % SLOW_EVERY == 0]
            random.shuffle(turns)
            for condition in turns:
                starts = loop.starts if condition.quick else max(3, int(loop.starts * SLOW_SHARE))
                condition.arm()
                block = loop.run(condition, starts)
                condition.disarm()
                after = run_native()
                cells[condition.name].add(block, before, after, starts)
                before = after
    finally:
        for condition in started:
            condition.stop()
    return cells, [low for low, _ in natives]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--starts", type=int, default=36)
    parser.add_argument("--programs", default=",".join(PROGRAMS))
    parser.add_argument("--tracers", default="", help="names that contain one of these; default: all")
    parser.add_argument("--details", action="store_true")
    parser.add_argument("--gate", action="store_true")
    options = parser.parse_args()
    os.environ["STARTSCOPE_BUILD"] = options.build
    import harness

    failed = False
    print("| tracer | program | starts | 10th percentile: ratio ± standard error (middle half) | median: the same |")
    print("|---|---|---|---|---|")
    with harness.Daemon() as daemon:
        idle = tracers.Native()
        idle.name = "startscope, no watch"
        conditions = [idle, *tracers.levels(harness, daemon)]
        if options.details:
            conditions += tracers.details(harness, daemon)
        conditions += tracers.peers()
        wanted = [w for w in options.tracers.split(",") if w]
        conditions = [c for c in conditions if not wanted or any(w in c.name for w in wanted)]
        for name in options.programs.split(","):
            loop = Loop(harness, name, options.starts)
            cells, natives = measure(loop, conditions, options.rounds)
            quarters = statistics.quantiles(natives, n=4)
            print(f"| native | {name} | {loop.starts * len(natives)} | {statistics.median(natives) / 1000:.0f} µs "
                  f"({quarters[0] / 1000:.0f} to {quarters[2] / 1000:.0f}) | |")
            for condition in conditions:
                cell = cells.get(condition.name)
                if cell is None:
                    print(f"| {condition.name} | {name} | 0 | – | – |")
                    continue
                print(f"| {condition.name} | {name} | {cell.starts} | {summarize(cell.lows)} | "
                      f"{summarize(cell.middles)} |", flush=True)
                for level, bound in GATE.items():
                    if options.gate and f"startscope {level}" in condition.name \
                            and statistics.median(cell.lows) > bound:
                        print(f"startup_overhead.py: {condition.name}, {name}: beyond {bound}", file=sys.stderr)
                        failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
