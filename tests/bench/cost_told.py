#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""cost_told.py --build DIR [--starts N] [--programs A,B]: what the programs of startup_overhead.py have that
costs something when they are watched, and what startscope itself tells that this costs: records, each times its
calibrated cost, of whole processes; medians over N starts. Beside startup_overhead.py's ratios it says how much of
them the probes explain. Needs root. Prints a Markdown table."""

import argparse
import collections
import json
import os
import pathlib
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent
WATCHES = [(level, precision) for level in ("phases", "objects") for precision in ("unperturbed", "exact")]


def started_by(harness, daemon, command, level, precision, starts):
    """The startups of `command` in JSON, but for the first: its files were not known yet."""
    done = harness.client("run", "--format", "json", "--level", level, "--precision", precision, "--until", "exit",
                          "-n", str(starts + 1), "--", *command, address=daemon.address, check=True)
    by_id = collections.OrderedDict()
    for line in done.stdout.splitlines():
        startup = json.loads(line)
        if "startup_id" in startup:
            by_id[startup["startup_id"]] = startup
    return list(by_id.values())[1:]


def median_of(startups, *path):
    values = []
    for startup in startups:
        value = startup
        for key in path:
            value = value.get(key, {}) if isinstance(value, dict) else {}
        if value not in ({}, None):
            values.append(int(value))
    return statistics.median(values) if values else None


def shown(value, scale=1, digits=0):
    return "–" if value is None else f"{value / scale:.{digits}f}"


def main():
    sys.path.insert(0, str(HERE))
    from startup_overhead import PROGRAMS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--starts", type=int, default=20)
    parser.add_argument("--programs", default=",".join(PROGRAMS))
    options = parser.parse_args()
    os.environ["STARTSCOPE_BUILD"] = options.build
    sys.path.insert(0, str(HERE.parent / "integration"))
    import harness

    print("| program | minor faults | threads | " + " | ".join(f"{l} {p}: records, µs" for l, p in WATCHES) + " |")
    print("|---|---|---|" + "---|" * len(WATCHES))
    with harness.Daemon() as daemon:
        for name in options.programs.split(","):
            command = list(PROGRAMS[name][0])
            if not command[0].startswith("/"):
                command[0] = harness.program(command[0])
            cells = []
            for level, precision in WATCHES:
                startups = started_by(harness, daemon, command, level, precision, options.starts)
                records = median_of(startups, "observer", "records")
                cost_ns = median_of(startups, "observer", "estimated_cost_ns")
                cells.append(f"{shown(records)}, {shown(cost_ns, 1000)}")
                if (level, precision) == WATCHES[0]:
                    minor = median_of(startups, "faults", "minor")
                    threads = median_of(startups, "threads_created")
            print(f"| {name} | {shown(minor)} | {shown(threads or 0)} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
