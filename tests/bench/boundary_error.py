#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""boundary_error.py --build DIR [--runs N]: how far the boundaries that an unperturbed watch infers lie from
the exact ones. Each program runs N times either way, by turns, and the offsets of each phase's begin from the
first user instruction are compared (how long the exec itself took varies more than anything after it): medians, their difference, and how much the runs themselves differ (the middle
half). Two watches cannot share a run: the breakpoints of the exact one would give away the faults that the
other infers from. Needs root. Prints a Markdown table."""

import argparse
import os
import pathlib
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = [
    ["/usr/bin/ls", "/"], ["/usr/bin/git", "--version"], ["/usr/bin/python3", "-S", "-c", "pass"],
    ["hello_glibc_dynamic"], ["hello_glibc_static"], ["hello_glibc_static_pie"], ["hello_musl_dynamic"],
    ["hello_musl_static"], ["freestanding_c"], ["hello_rust"], ["hello_go"], ["many_libraries"],
]


def begins(startup):
    """phase -> offset of its begin from the end of kernel exec in µs."""
    exec_ns = int(startup["phases"][0]["duration_ns"])
    return {p["phase"].replace("PHASE_", "").lower(): (int(p["offset_ns"]) - exec_ns) / 1000
            for p in startup["phases"][1:]}


def sources(startup):
    return {p["phase"].replace("PHASE_", "").lower():
            p["begin_source"].replace("BOUNDARY_SOURCE_", "").replace("_", " ").lower()
            for p in startup["phases"]}


def middle_half(values):
    quarters = statistics.quantiles(values, n=4)
    return quarters[2] - quarters[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--runs", type=int, default=40)
    options = parser.parse_args()
    os.environ["STARTSCOPE_BUILD"] = options.build
    sys.path.insert(0, str(HERE.parent / "integration"))
    import harness

    print("| program | begin of | exact µs | inferred µs | difference µs | middle half exact | "
          "middle half inferred | inferred from | not observed |")
    print("|---|---|---|---|---|---|---|---|---|")
    with harness.Daemon() as daemon:
        for program in PROGRAMS:
            command = harness.command_of(program)
            name = pathlib.Path(command[0]).name
            seen = {"exact": [], "unperturbed": []}
            how = {}
            for _ in range(options.runs):
                for precision, runs in seen.items():
                    startup = harness.run(command, "--until", "exit", "--level", "objects",
                                          "--precision", precision, daemon=daemon)[-1]
                    runs.append(begins(startup))
                    if precision == "unperturbed":
                        how.update(sources(startup))
            for phase in list(seen["exact"][-1])[1:]:
                exact = [r[phase] for r in seen["exact"] if phase in r]
                inferred = [r[phase] for r in seen["unperturbed"] if phase in r]
                missing = options.runs - len(inferred)
                if len(inferred) < 2:
                    print(f"| {name} | {phase} | {statistics.median(exact):.0f} | – | – | "
                          f"{middle_half(exact):.0f} | – | – | {missing} of {options.runs} |")
                    continue
                difference = statistics.median(inferred) - statistics.median(exact)
                print(f"| {name} | {phase} | {statistics.median(exact):.0f} | "
                      f"{statistics.median(inferred):.0f} | {difference:+.0f} | "
                      f"{middle_half(exact):.0f} | {middle_half(inferred):.0f} | {how.get(phase)} | "
                      f"{missing} of {options.runs} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
