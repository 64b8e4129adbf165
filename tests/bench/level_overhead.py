#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""level_overhead.py --build DIR [--blocks N] [--starts N]: what being watched costs a program start, by level and
detail, as a ratio to starts of the same program a moment before, unwatched. Each block is some starts unwatched and
as many watched; the median ratio of the blocks is printed with its middle half. A watch of everything, in exact
precision unless the row says otherwise. `bystander` is a program that the watch's filter leaves out. Needs root.
Prints a Markdown table."""

import argparse
import os
import pathlib
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROWS = [
    ("phases", ["--level", "phases"]),
    ("phases, unperturbed", ["--level", "phases", "--precision", "unperturbed"]),
    ("objects", ["--level", "objects"]),
    ("objects, unperturbed", ["--level", "objects", "--precision", "unperturbed"]),
    ("objects, waits", ["--level", "objects", "--waits"]),
    ("pages", ["--level", "pages"]),
    ("objects, system calls", ["--level", "objects", "--syscalls"]),
    ("bystander of phases", ["--level", "phases", "--uid", "65534"]),
    ("bystander of pages and system calls", ["--level", "pages", "--syscalls", "--uid", "65534"]),
]


def seconds_for(path, starts):
    begin = time.monotonic()
    for _ in range(starts):
        os.waitpid(os.posix_spawn(path, [path], {}), 0)
    return time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--starts", type=int, default=150)
    options = parser.parse_args()
    os.environ["STARTSCOPE_BUILD"] = options.build
    sys.path.insert(0, str(HERE.parent / "integration"))
    import harness

    path = harness.program("hello_glibc_dynamic")
    quiet = os.open("/dev/null", os.O_WRONLY)
    out = os.dup(1)
    print("| watch | ratio | middle half |")
    print("|---|---|---|", flush=True)
    with harness.Daemon() as daemon:
        for name, flags in ROWS:
            ratios = []
            for _ in range(options.blocks):
                os.dup2(quiet, 1)
                alone = seconds_for(path, options.starts)
                watch = harness.Watch(daemon, *flags)
                watch.wait_armed()
                seconds_for(path, 2)
                watched = seconds_for(path, options.starts)
                watch.finish()
                harness.wait_for(lambda: not harness.attached_programs(), "all probes to be detached")
                os.dup2(out, 1)
                ratios.append(watched / alone)
            quarters = statistics.quantiles(ratios, n=4)
            print(f"| {name} | {statistics.median(ratios):.3f} | {quarters[0]:.3f} to {quarters[2]:.3f} |",
                  flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
