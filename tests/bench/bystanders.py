#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""bystanders.py --build DIR [--rounds N] [--gate]: what a process that is not starting pays while a watch runs: per
minor fault, per system call, per pair of context switches. Each round measures every watch and no watch, in an order
drawn anew; printed are the median of the ratios of the rounds and their middle half. Program starts go on beside it,
so that there is always something that is followed. --gate fails beyond a generous bound. Needs root."""

import argparse
import os
import random
import statistics
import subprocess
import sys

import tracers

THINGS = ("minor fault", "system call", "switch")
# For levels that do not ask for system calls and switches.
GATE = (1.5, 1.3, 1.4)
ROWS = [
    ("phases", "exact"), ("phases", "unperturbed"), ("objects", "exact"), ("objects", "unperturbed"),
    ("pages", "exact"),
]


def measure(bystander):
    """The best of a few: what others on the machine do can only add."""
    done = subprocess.run([bystander, "1", "7"], capture_output=True, text=True, check=True)
    columns = list(zip(*(map(float, line.split()) for line in done.stdout.splitlines())))
    return [min(column) for column in columns]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--gate", action="store_true")
    options = parser.parse_args()
    os.environ["STARTSCOPE_BUILD"] = options.build
    import harness

    bystander = str(harness.BUILD / "bench" / "bystander")
    background = [str(harness.BUILD / "bench" / "spawn_loop"), "0", "100000000", harness.program("hello_musl_static")]
    ratios = {}
    with harness.Daemon() as daemon:
        native = tracers.Native()
        conditions = [tracers.Startscope(harness, daemon, *row) for row in ROWS]
        for round_number in range(options.rounds):
            turns = [native, *conditions]
            random.shuffle(turns)
            figures = {}
            for tracer in turns:
                tracer.start()
                starts = subprocess.Popen(background, stdout=subprocess.DEVNULL)
                try:
                    figures[tracer.name] = measure(bystander)
                finally:
                    starts.kill()
                    starts.wait()
                    tracer.stop()
            for condition in conditions:
                for thing, mine, base in zip(THINGS, figures[condition.name], figures[native.name]):
                    ratios.setdefault((condition.name, thing), []).append(mine / base)
            print(f"round {round_number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    failed = False
    print("| watch | " + " | ".join(THINGS) + " |")
    print("|---|" + "---|" * len(THINGS))
    for condition in conditions:
        cells = []
        for thing, bound in zip(THINGS, GATE):
            values = ratios[condition.name, thing]
            quarters = statistics.quantiles(values, n=4)
            cells.append(f"{statistics.median(values):.3f} ({quarters[0]:.3f} to {quarters[2]:.3f})")
            if options.gate and "pages" not in condition.name and statistics.median(values) > bound:
                print(f"bystanders.py: {condition.name}: {thing} beyond {bound}", file=sys.stderr)
                failed = True
        print(f"| {condition.name} | " + " | ".join(cells) + " |")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
