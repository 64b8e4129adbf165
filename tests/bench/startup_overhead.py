#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""startup_overhead.py --build DIR [--rounds N] [--starts N] [--programs A,B] [--tracers A,B] [--gate]: what being
watched costs a program start, beside the peers. In every round each tracer has one turn, in an order drawn anew, and
each turn measures every program: so many starts, one after the other. A turn's figure is its 10th percentile (and
its median) as a ratio to the native turn of the same round; printed are the median of these ratios over the rounds
and their middle half. --gate fails when a ratio of startscope is beyond a generous bound. Needs root."""

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
# The slow ones get fewer starts in a turn: their ratios are far from 1.
SLOW = ("strace", "ltrace", "perf trace")
SLOW_SHARE = 0.15
# What a peer cannot run: ltrace needs a table of dynamic symbols.
CANNOT = {("ltrace", "static"), ("ltrace", "no_std"), ("ltrace", "go")}
# With --gate: far above what is measured, so that only a gross regression fails on a noisy machine.
GATE = {"phases": 2.0, "objects": 2.0, "pages": 3.0}
# Long enough for the look-ups of files that a tracer meets for the first time.
SETTLE_S = 0.3


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def measure(loop, command, starts, tracer):
    done = subprocess.run(tracer.wrap([loop, "0", str(starts), *command]), capture_output=True, text=True,
                          env=dict(os.environ, **tracer.environment))
    if done.returncode != 0:
        raise RuntimeError(f"{tracer.name}: {command}: {done.returncode} {done.stderr[-500:]}")
    return [int(line.split()[0]) for line in done.stdout.splitlines()]


def summarize(ratios):
    if len(ratios) == 1:
        return f"{ratios[0]:.3f}"
    quarters = statistics.quantiles(ratios, n=4)
    return f"{statistics.median(ratios):.3f} ({quarters[0]:.3f} to {quarters[2]:.3f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--starts", type=int, default=100)
    parser.add_argument("--programs", default=",".join(PROGRAMS))
    parser.add_argument("--tracers", default="", help="names that contain one of these; default: all")
    parser.add_argument("--gate", action="store_true")
    options = parser.parse_args()
    os.environ["STARTSCOPE_BUILD"] = options.build
    import harness

    loop = str(harness.BUILD / "bench" / "spawn_loop")
    programs = {}
    for name in options.programs.split(","):
        command, share = PROGRAMS[name]
        path = command[0] if command[0].startswith("/") else harness.program(command[0])
        programs[name] = ([path, *command[1:]], max(3, int(options.starts * share)))

    results = {}  # (tracer, program) -> ([ratio of p10], [ratio of median], starts)
    with harness.Daemon() as daemon:
        idle = tracers.Native()
        idle.name = "startscope, no watch"
        conditions = [idle]
        for level in ("phases", "objects", "pages"):
            for precision in ("unperturbed", "exact"):
                conditions.append(tracers.Startscope(harness, daemon, level, precision))
        conditions += tracers.peers()
        wanted = [w for w in options.tracers.split(",") if w]
        conditions = [c for c in conditions if not wanted or any(w in c.name for w in wanted)]
        native = tracers.Native()
        for round_number in range(options.rounds):
            turns = [native, *conditions]
            random.shuffle(turns)
            figures = {}
            for tracer in turns:
                tracer.start()
                try:
                    for name, (command, starts) in programs.items():
                        if any(slow in tracer.name for slow in SLOW):
                            starts = max(3, int(starts * SLOW_SHARE))
                        if any(program == name and peer in tracer.name for peer, program in CANNOT):
                            continue
                        measure(loop, command, 2, tracer)  # its files are known, its pages in memory
                        time.sleep(SETTLE_S)
                        times = measure(loop, command, starts, tracer)
                        figures[tracer.name, name] = (percentile(times, 0.1), statistics.median(times), starts)
                finally:
                    tracer.stop()
            for (tracer_name, name), (low, middle, starts) in figures.items():
                base = figures[native.name, name]
                lows, middles, count = results.setdefault((tracer_name, name), ([], [], 0))
                lows.append(low / base[0])
                middles.append(middle / base[1])
                results[tracer_name, name] = (lows, middles, count + starts)
            print(f"round {round_number + 1} of {options.rounds}", file=sys.stderr, flush=True)
            figures_native = {name: figures[native.name, name][0] / 1000 for name in programs}
        print("Native, 10th percentile of the last round: "
              + ", ".join(f"{name} {value:.0f} µs" for name, value in figures_native.items()) + "\n")

    failed = False
    print("| tracer | program | starts | ratio of 10th percentiles (middle half) | ratio of medians (middle half) |")
    print("|---|---|---|---|---|")
    for condition in conditions:
        for name in programs:
            if (condition.name, name) not in results:
                print(f"| {condition.name} | {name} | 0 | – | – |")
                continue
            lows, middles, count = results[condition.name, name]
            print(f"| {condition.name} | {name} | {count} | {summarize(lows)} | {summarize(middles)} |")
            for level, bound in GATE.items():
                if options.gate and f"startscope {level}" in condition.name and statistics.median(lows) > bound:
                    print(f"startup_overhead.py: {condition.name}, {name}: beyond {bound}", file=sys.stderr)
                    failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
