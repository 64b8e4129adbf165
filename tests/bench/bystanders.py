#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""bystanders.py --build DIR [--rounds N] [--rows A,B] [--programs] [--gate]: what processes that nobody watches pay
while a watch is on: a minor fault, a system call, a pair of context switches, a database's work (sqlite3) and a build
(gcc). In each round each watch has a turn of some hundred milliseconds with it and one without, in alternating order.
Printed are 10th percentiles over all rounds as ratios, and the middle half of the same ratios of each few rounds; the
row `control` compares nothing with nothing: what the machine adds. Rows: a watch of nobody (`scope`), of everything while
nothing is followed but what gcc starts (`quiet`), and while one process is (`following`); `floor`: an empty program at
the completion of faults. --programs: nanoseconds a run of each BPF program in the
bystander, by the kernel's own statistics. --gate fails beyond a generous bound. Needs root."""

import argparse
import contextlib
import os
import pathlib
import random
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import tracers  # noqa: F401: sets the path of harness

PRIORITY = -12
# For what attaching and detaching leave to be done.
SETTLE_S = 0.3
ARMED_S = 20
BLOCK = 5  # rounds of which a ratio of their own is made
BURSTS = {"fault": 12, "call": 8, "switch": 12}
SQL_RUNS = 12
BUILD_RUNS = 2
# Thing, its unit, and what a gate lets pass: far above what is measured.
THINGS = {"fault": ("minor fault", 1.5), "call": ("system call", 1.3), "switch": ("pair of switches", 1.4),
          "sqlite": ("sqlite3", 1.3), "gcc": ("gcc", 1.8)}
SQL = """CREATE TABLE IF NOT EXISTS t(k INTEGER PRIMARY KEY, a INTEGER, b TEXT);
BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<4000)
INSERT INTO t(a,b) SELECT i*7919%10007, hex(i*i) FROM n; COMMIT;
CREATE INDEX i ON t(a); SELECT count(*), sum(a) FROM t WHERE a BETWEEN 100 AND 5000;
SELECT b, count(*) FROM t GROUP BY b ORDER BY 2 DESC LIMIT 1; DROP TABLE t;
"""
SOURCE = """#include <stdio.h>
#include <stdlib.h>
#include <string.h>
""" + "".join(f"int f{i}(int a, char* b) {{ for (int i = 0; i < a; ++i) b[i] = (char)(b[i] * {i + 3} + i); "
              f"return snprintf(b, 20, \"%d\", a + {i}); }}\n" for i in range(8))
# Level, precision, whom the watch is of, and whether something is followed meanwhile. Level None: no watch.
NOBODY = 3999999999  # a user that has no process
ROWS = {
    "control": (None, None, None, False),
    "phases-scope": ("PHASES", "EXACT", "nobody", False),
    "objects-scope": ("OBJECTS", "EXACT", "nobody", False),
    "phases-quiet": ("PHASES", "EXACT", "all", False),
    "objects-quiet": ("OBJECTS", "EXACT", "all", False),
    "phases-following": ("PHASES", "EXACT", "all", True),
    "objects-following": ("OBJECTS", "EXACT", "all", True),
    "pages-following": ("PAGES", "EXACT", "all", True),
}
# What the kernel takes for calling any program at a fault's completion, by bpftrace with an empty one.
FLOORS = {"floor": """BEGIN { printf("armed\\n"); } software:minor-faults:1 { if (0) { exit(); } }"""}
GATED = [name for name in ROWS if "pages" not in name]


def low(values):
    ordered = sorted(values)
    return ordered[len(ordered) // 10]


class Bystander:
    def __init__(self, harness, cpu):
        self.process = subprocess.Popen([str(harness.BUILD / "bench" / "bystander"), str(cpu)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def measure(self, thing):
        count = BURSTS[thing]
        self.process.stdin.write(f"{thing} {count}\n")
        self.process.stdin.flush()
        return [float(self.process.stdout.readline()) for _ in range(count)]

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def on_cpu(cpu):
    def prepare():
        os.sched_setaffinity(0, {cpu})
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    return prepare


class Database:
    """One sqlite3 that does the same work again and again."""

    def __init__(self, cpu, directory):
        self.process = subprocess.Popen(
            ["sqlite3", "-batch", os.path.join(directory, "db")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, preexec_fn=on_cpu(cpu))
        self.run("PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF;\n")
        self.run(SQL)

    def run(self, sql):
        begin = time.perf_counter_ns()
        self.process.stdin.write(sql + ".print done\n")
        self.process.stdin.flush()
        while self.process.stdout.readline() not in ("done\n", ""):
            pass
        return time.perf_counter_ns() - begin

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Build:
    def __init__(self, cpu, directory):
        self.cpu = cpu
        self.source = pathlib.Path(directory, "unit.c")
        self.source.write_text(SOURCE)
        self.command = ["gcc", "-O1", "-c", str(self.source), "-o", "/dev/null"]

    def run(self):
        begin = time.perf_counter_ns()
        subprocess.run(self.command, check=True, preexec_fn=on_cpu(self.cpu))
        return time.perf_counter_ns() - begin


class Watches:
    """Arms and disarms over the API."""

    def __init__(self, harness, daemon, client, pb2):
        self.harness, self.client, self.pb2 = harness, client, pb2

    def attached(self):
        status = self.client.stub.GetStatus(self.pb2.GetStatusRequest())
        return [p.name for p in status.probes if p.attachments]

    @contextlib.contextmanager
    def armed(self, row):
        if row in FLOORS:
            peer = subprocess.Popen(["bpftrace", "-e", FLOORS[row]], stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL)
            try:
                said = b""
                while b"armed" not in said:
                    if not select.select([peer.stdout], [], [], ARMED_S)[0]:
                        raise RuntimeError(f"{row}: bpftrace does not say that it is armed")
                    if not (part := os.read(peer.stdout.fileno(), 4096)):
                        raise RuntimeError(f"{row}: bpftrace ended")
                    said += part
                yield
            finally:
                peer.terminate()
                peer.communicate()
            return
        level, precision, scope, following = ROWS[row]
        if level is None:
            yield
            return
        request = self.pb2.WatchStartupsRequest(level="LEVEL_" + level, precision="PRECISION_" + precision,
                                                until="UNTIL_EXIT" if following else "UNTIL_MAIN")
        if scope == "nobody":
            request.allow.add().uid.append(NOBODY)
        stream = self.client.stub.WatchStartups(request)
        if not next(stream).HasField("armed"):
            raise RuntimeError(f"{row}: not armed")
        sleeper = None
        if following:
            sleeper = subprocess.Popen(["/bin/sleep", "1000"])
            self.harness.wait_for(lambda: self.client.stub.GetStatus(self.pb2.GetStatusRequest()).startups_open,
                                  "a start to be followed")
        try:
            yield
        finally:
            if sleeper:
                sleeper.kill()
                sleeper.wait()
            stream.cancel()
            self.harness.wait_for(lambda: not self.attached(), "probes to be detached")


def cell(mine, base):
    """The ratio of all, and the middle half of those of blocks of rounds."""
    flat = lambda rounds: [value for one in rounds for value in one]  # noqa: E731
    blocks = [low(flat(mine[i:i + BLOCK])) / low(flat(base[i:i + BLOCK]))
              for i in range(0, len(mine) - BLOCK + 1, BLOCK)]
    ratio = low(flat(mine)) / low(flat(base))
    if len(blocks) < 2:
        return ratio, f"{ratio:.3f}"
    quarters = statistics.quantiles(blocks, n=4)
    return ratio, f"{ratio:.3f} ({quarters[0]:.3f} to {quarters[2]:.3f})"


def programs(harness, watches, rows, bystander):
    """Nanoseconds of each run of a program during the bystander's bursts."""
    switch = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
    before = switch.read_text()
    print("| watch | program | runs | ns a run |\n|---|---|---|---|")
    try:
        switch.write_text("1")
        for row in rows:
            with watches.armed(row):
                counts = lambda: {p["name"]: (p.get("run_cnt", 0), p.get("run_time_ns", 0))  # noqa: E731
                                  for p in harness.bpftool("prog", "show") if p.get("name", "").startswith("on_")}
                first = counts()
                for thing in BURSTS:
                    bystander.measure(thing)
                for name, (runs, took) in sorted(counts().items()):
                    runs, took = runs - first.get(name, (0, 0))[0], took - first.get(name, (0, 0))[1]
                    if runs > 1000:
                        print(f"| {row} | {name} | {runs} | {took / runs:.0f} |", flush=True)
    finally:
        switch.write_text(before)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--rows", default=",".join([*ROWS, *FLOORS]))
    parser.add_argument("--programs", action="store_true")
    parser.add_argument("--gate", action="store_true")
    options = parser.parse_args()
    os.environ["STARTSCOPE_BUILD"] = options.build
    import harness
    import rpc
    from startscope.v1 import startup_service_pb2 as pb2

    rows = options.rows.split(",")
    cpu = max(os.sched_getaffinity(0))
    directory = tempfile.mkdtemp(prefix="startscope-bystanders-")
    # Row, thing: a list of values for each round, with the watch and without.
    mine = {(row, thing): [] for row in rows for thing in THINGS}
    base = {(row, thing): [] for row in rows for thing in THINGS}
    with harness.Daemon() as daemon, rpc.Rpc(daemon) as client:
        # Whoever takes the time must not wait for a CPU, or it is that which is measured.
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
        watches = Watches(harness, daemon, client, pb2)
        bystander, database, build = Bystander(harness, cpu), Database(cpu, directory), Build(cpu, directory)
        try:
            if options.programs:
                programs(harness, watches, [row for row in rows if row not in FLOORS], bystander)
                return 0

            def turn(row, into):
                for thing in BURSTS:
                    into[row, thing].append(bystander.measure(thing))
                into[row, "sqlite"].append([database.run(SQL) for _ in range(SQL_RUNS)])
                into[row, "gcc"].append([build.run() for _ in range(BUILD_RUNS)])

            for number in range(options.rounds):
                random.shuffle(rows)
                for row in rows:
                    if number % 2:
                        turn(row, base)
                    with watches.armed(row):
                        time.sleep(SETTLE_S)
                        turn(row, mine)
                    time.sleep(SETTLE_S)
                    if not number % 2:
                        turn(row, base)
        finally:
            bystander.stop()
            database.stop()
            shutil.rmtree(directory)
    failed = False
    print("| watch | " + " | ".join(name for name, _ in THINGS.values()) + " |")
    print("|---|" + "---|" * len(THINGS))
    for row in sorted(rows, key=[*ROWS, *FLOORS].index):
        cells = []
        for thing, (name, bound) in THINGS.items():
            ratio, text = cell(mine[row, thing], base[row, thing])
            cells.append(text)
            if options.gate and row in GATED and ratio > bound:
                print(f"bystanders.py: {row}: {name}: {ratio:.3f} is beyond {bound}", file=sys.stderr)
                failed = True
        print(f"| {row} | " + " | ".join(cells) + " |")
    without = [low([v for row in rows for one in base[row, thing] for v in one]) for thing in THINGS]
    print("| without, 10th percentile | " + " | ".join(
        f"{ns:.0f} ns" if ns < 1e5 else f"{ns / 1e6:.1f} ms" for ns in without) + " |")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
