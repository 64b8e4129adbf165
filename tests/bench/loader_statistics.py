#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""loader_statistics.py --build DIR [--runs N]: what LD_DEBUG=statistics says of a program's start beside what startscope
says of the very same start. The loader's figures are in ticks of the time-stamp counter; its total begins at the
loader's first instructions and ends before the constructors. It names relocation and the loading of objects
and leaves the rest unexplained; the rest is here split into the loader's bootstrap, what relocation holds beside
the loader's own timer (thread-local storage, its second relocation, early initialisation of libc), and mapping beyond
its timer. Medians of the runs, in µs. Needs root. Prints a Markdown table."""

import argparse
import ctypes
import mmap
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
COMMANDS = [["ls", "/"], ["git", "--version"], ["python3", "-S", "-c", "pass"], ["curl", "--version"],
            ["gdb", "--version"], ["openssl", "version"], ["perl", "-e", "1"], ["ssh", "-V"]]


def ticks_per_us():
    """Of the time-stamp counter, against the monotonic clock: on a virtual machine the clock rate that the
    processor names need not be the counter's."""
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("0f31" "48c1e220" "4809d0" "c3"))  # rdtsc; rdx:rax -> rax; ret
    place = ctypes.c_char.from_buffer(code)
    read_counter = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(place))
    begin_ns, begin = time.monotonic_ns(), read_counter()
    time.sleep(0.5)
    end_ns, end = time.monotonic_ns(), read_counter()
    return (end - begin) * 1000 / (end_ns - begin_ns)


def ticks_a_figure(path, rate):
    """What one unit of the loader's figures is: glibc 2.36 prints them without their last digit. Told from
    the whole time of a program that does little but load."""
    with tempfile.TemporaryDirectory() as directory:
        begin_ns = time.monotonic_ns()
        process = subprocess.Popen([path], env=dict(os.environ, LD_DEBUG="statistics",
                                                    LD_DEBUG_OUTPUT=directory + "/log"))
        process.wait()
        wall_us = (time.monotonic_ns() - begin_ns) / 1000
        log = pathlib.Path(f"{directory}/log.{process.pid}").read_text()
    return 10 if loader_ticks(log)[0] * 10 / rate <= wall_us else 1


def loader_ticks(log):
    """(total, relocation, loading) of the statistics at the begin of a process."""
    patterns = ("total startup time in dynamic loader: (\\d+)", "time needed for relocation: (\\d+)",
                "time needed to load objects: (\\d+)")
    return [int(re.search(p, log).group(1)) for p in patterns]


def start(rpc, command, log):
    """One start, by both: (startup, the loader's ticks)."""
    environment = dict(os.environ, LD_DEBUG="statistics", LD_DEBUG_OUTPUT=log)
    traced = rpc.run(command, until="UNTIL_MAIN", level="LEVEL_OBJECTS", popen={"env": environment})
    startup = traced.startups[0]
    path = pathlib.Path(f"{log}.{startup['process']['pid']}")
    return startup, loader_ticks(path.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    os.environ["STARTSCOPE_BUILD"] = options.build
    sys.path.insert(0, str(HERE.parent / "integration"))
    import harness
    from rpc import Rpc
    from test_objects import distribution_path

    rate = ticks_per_us()
    rate /= ticks_a_figure(harness.program("many_libraries"), rate)
    print("| program | loader's total | ours | ratio | relocation, loader's | ours | loading, loader's | ours | "
          "unexplained by the loader | bootstrap, of that |")
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as directory, harness.Daemon() as daemon, Rpc(daemon) as rpc:
        for name, *arguments in COMMANDS:
            rows = []
            for i in range(options.runs + 1):
                startup, (total, relocation, loading) = start(
                    rpc, [distribution_path(name), *arguments], os.path.join(directory, f"{name}{i}"))
                if i == 0:
                    continue  # its marks may not have been in place
                phases = {p["phase"][6:]: int(p["duration_ns"]) / 1000 for p in startup["phases"]}
                ours = sum(phases[p] for p in ("LOADER_BOOTSTRAP", "DEPENDENCY_MAPPING", "RELOCATION"))
                rest = (total - relocation - loading) / rate
                rows.append((total / rate, ours, total / rate / ours, relocation / rate,
                             phases["RELOCATION"], loading / rate, phases["DEPENDENCY_MAPPING"],
                             rest / (total / rate) * 100, phases["LOADER_BOOTSTRAP"] / rest * 100))
            m = [statistics.median(column) for column in zip(*rows)]
            print(f"| {name} | {m[0]:.0f} | {m[1]:.0f} | {m[2]:.2f} | {m[3]:.0f} | {m[4]:.0f} | {m[5]:.0f} | "
                  f"{m[6]:.0f} | {m[7]:.0f} % | {m[8]:.0f} % |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
