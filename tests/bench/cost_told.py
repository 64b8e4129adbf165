#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""cost_told.py --build DIR [--starts N] [--programs A,B]: what the programs of startup_overhead.py have that
costs something when they are watched, and what startscope itself tells that this costs: records, each times its
calibrated cost, of whole processes; medians over N starts. Beside startup_overhead.py's ratios it says how much of
them the probes explain. Needs root. Prints a Markdown table."""

import argparse
import os
import statistics

from startup_overhead import PROGRAMS

WATCHES = [(level, precision) for level in ("phases", "objects") for precision in ("unperturbed", "exact")]


def median_of(messages, field):
    """None: not measured."""
    values = [int(message[field]) for message in messages if field in message]
    return statistics.median(values) if values else None


def shown(value, scale=1):
    return "–" if value is None else f"{value / scale:.0f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--starts", type=int, default=20)
    parser.add_argument("--programs", default=",".join(PROGRAMS))
    options = parser.parse_args()
    os.environ["STARTSCOPE_BUILD"] = options.build
    import harness

    print("| program | minor faults | threads | " + " | ".join(f"{l} {p}: records, µs" for l, p in WATCHES) + " |")
    print("|---|---|---|" + "---|" * len(WATCHES))
    with harness.Daemon() as daemon:
        for name in options.programs.split(","):
            command = harness.command_of(PROGRAMS[name][0])
            cells = []
            for level, precision in WATCHES:
                # The first one's files were not known yet.
                startups = harness.run(command, "--level", level, "--precision", precision, "--until", "exit",
                                       "-n", str(options.starts + 1), daemon=daemon)[1:]
                observers = [startup["observer"] for startup in startups]
                cells.append(f"{shown(median_of(observers, 'records'))}, "
                             f"{shown(median_of(observers, 'estimated_cost_ns'), 1000)}")
                if (level, precision) == WATCHES[0]:
                    minor = median_of([startup["faults"] for startup in startups], "minor")
                    threads = median_of(startups, "threads_created")
            print(f"| {name} | {shown(minor)} | {shown(threads)} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
