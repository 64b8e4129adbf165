#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""daemon_figures.py --build DIR [--storm-seconds S] [--gate]: what the daemon and the client themselves need. Prints a
Markdown table: readiness, arming, memory idle and in a storm of starts at the machine's full rate, losses, CPU time of
the daemon as a share of that of the traced work, latency of a report, detaching, stopping, and the client's own start.
--gate fails beyond a generous bound. Needs root."""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time

import tracers  # noqa: F401: sets the path of harness


def cpu_seconds(pid):
    """User and system time of a process and its ended children."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid, field="VmRSS"):
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    raise RuntimeError(f"{pid}: no {field}")


def map_mib(harness):
    """Memory of the BPF maps of our programs, as bpftool has it."""
    ours = {m for p in harness.bpftool("prog", "show") if p.get("name", "").startswith("on_")
            for m in p.get("map_ids", [])}
    return sum(m.get("bytes_memlock", 0) for m in harness.bpftool("map", "show") if m["id"] in ours) / 2**20


class Figures:
    def __init__(self, gate):
        self.gate = gate
        self.failed = False

    def add(self, name, value, bar, unit="", slack=4.0, form="{:.1f}"):
        text = form.format(value)
        print(f"| {name} | {text}{unit} | {bar}{unit} |", flush=True)
        if self.gate and value > bar * slack:
            print(f"daemon_figures.py: {name}: {text}{unit}, beyond {slack} times {bar}{unit}", file=sys.stderr)
            self.failed = True


def time_ready(harness):
    begin = time.monotonic()
    daemon = harness.Daemon(expect_ready=False)
    read, write = os.pipe()
    daemon.process = subprocess.Popen([str(harness.DAEMON), "--listen", daemon.address], stdout=write, stderr=write)
    os.close(write)
    text = b""
    while b"ready" not in text:
        part = os.read(read, 4096)
        if not part:
            raise RuntimeError(f"the daemon ended: {text}")
        text += part
    took = time.monotonic() - begin
    begin = time.monotonic()
    daemon.stop()
    stopped = time.monotonic() - begin
    os.close(read)
    return took * 1000, stopped * 1000


def time_arming(rpc, client, pb2, count=12):
    times = []
    for _ in range(count):
        begin = time.monotonic()
        stream = client.stub.WatchStartups(pb2.WatchStartupsRequest(level=pb2.startscope_dot_v1_dot_startup__pb2.LEVEL_OBJECTS))
        if next(stream).WhichOneof("event") != "armed":
            raise RuntimeError("the first message is not armed")
        times.append((time.monotonic() - begin) * 1000)
        stream.cancel()
        time.sleep(0.2)
    return times


def report_latency(harness, client, pb2, program, per_second=200, seconds=5):
    """Milliseconds from reaching main to the report's arrival here."""
    late = []
    stream = client.stub.WatchStartups(pb2.WatchStartupsRequest())
    next(stream)

    def take():
        try:
            for message in stream:
                if message.WhichOneof("event") == "startup_finished":
                    startup = message.startup_finished
                    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
                    if startup.process.executable == program:
                        late.append((now - startup.begin_boottime_ns - startup.total_ns) / 1e6)
        except Exception:  # cancelled
            pass

    taker = threading.Thread(target=take)
    taker.start()
    end = time.monotonic() + seconds
    due = time.monotonic()
    count = 0
    while time.monotonic() < end:
        os.waitpid(os.posix_spawn(program, [program], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]), 0)
        count += 1
        due += 1 / per_second
        time.sleep(max(0, due - time.monotonic()))
    time.sleep(1)
    stream.cancel()
    taker.join()
    if len(late) != count:
        raise RuntimeError(f"{len(late)} of {count} starts were reported")
    late.sort()
    return late[int(len(late) * 0.99)]


def losses(harness, daemon):
    """(stage, what) -> lost so far, without what gave way to something newer."""
    status = json.loads(harness.client("status", "--format", "json", address=daemon.address).stdout)
    return {(one["stage"], one["name"]): int(one.get("lost", 0)) for one in status["losses"]
            if not one.get("eviction")}


def storm(harness, daemon, seconds, figures):
    """Both CPUs start programs as fast as they can while a watch of everything runs."""
    lost_before = losses(harness, daemon)
    watch = tracers.Startscope(harness, daemon, "objects", "exact")
    watch.start()
    loop = str(harness.BUILD / "bench" / "spawn_loop")
    program = harness.program("hello_glibc_dynamic")
    before = cpu_seconds(daemon.process.pid)
    client_before = cpu_seconds(watch.process.pid)
    most = 0.0
    begin = time.monotonic()
    work = 0.0
    starts = 0
    while time.monotonic() - begin < seconds:
        loops = [subprocess.Popen([loop, str(cpu), "500", program], stdout=subprocess.PIPE, text=True)
                 for cpu in sorted(os.sched_getaffinity(0))]
        for one in loops:
            out, _ = one.communicate()
            lines = out.splitlines()
            starts += len(lines)
            work += sum(int(line.split()[1]) for line in lines) / 1e9
        most = max(most, memory_mib(daemon.process.pid))
    took = time.monotonic() - begin
    time.sleep(1)
    daemon_s = cpu_seconds(daemon.process.pid) - before
    client_s = cpu_seconds(watch.process.pid) - client_before
    maps = map_mib(harness)
    lost = {what: count - lost_before[what] for what, count in losses(harness, daemon).items()
            if count > lost_before[what]}
    # A file that could not be read, or not in time, is told of by startups that are all there.
    of_files = {what for what in lost if what[0] == "LOSS_STAGE_IMAGES"}
    for (stage, name), count in sorted(lost.items()):
        print(f"daemon_figures.py: {stage}: {count} {name}", file=sys.stderr)
    watch.stop()
    print(f"| starts a second in the storm | {starts / took:.0f} | – |")
    figures.add("startups and records lost in the storm",
                sum(count for what, count in lost.items() if what not in of_files), 0, "", 1, "{:.0f}")
    print(f"| files not read, or not in time, in the storm | {sum(lost[what] for what in of_files)} | – |")
    figures.add("daemon's CPU time of the work's", 100 * daemon_s / work, 8, " %")
    print(f"| client's CPU time of the work's | {100 * client_s / work:.1f} % | – |")
    figures.add("daemon's resident memory in the storm", most, 64, " MiB")
    figures.add("BPF maps", maps, 16, " MiB", 1.0)


def best_ms(command, count=15, **options):
    times = []
    for _ in range(count):
        begin = time.monotonic()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True, **options)
        times.append((time.monotonic() - begin) * 1000)
    return min(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--storm-seconds", type=float, default=60)
    parser.add_argument("--gate", action="store_true")
    options = parser.parse_args()
    os.environ["STARTSCOPE_BUILD"] = options.build
    import harness
    import rpc
    from startscope.v1 import startup_service_pb2 as pb2

    figures = Figures(options.gate)
    print("| figure | here | bar |\n|---|---|---|")
    ready = [time_ready(harness) for _ in range(5)]
    figures.add("daemon start to ready, median of 5", statistics.median(r[0] for r in ready), 300, " ms")
    figures.add("daemon stop, nothing attached", max(r[1] for r in ready), 3000, " ms", 1.0)
    with harness.Daemon() as daemon:
        time.sleep(1)
        figures.add("daemon's resident memory, idle", memory_mib(daemon.process.pid), 25, " MiB")
        with rpc.Rpc(daemon) as client:
            time_arming(rpc, client, pb2, 2)
            figures.add("watch request to armed, median of 12", statistics.median(time_arming(rpc, client, pb2)),
                        100, " ms")
            figures.add("main to its report, p99 at 200 starts a second",
                        report_latency(harness, client, pb2, harness.program("hello_glibc_dynamic")), 5, " ms", 10)
        hello = best_ms([harness.program("hello_glibc_dynamic")])
        figures.add("startscope --version, as a multiple of a C hello",
                    best_ms([str(harness.CLIENT), "--version"]) / hello, 3, "")
        harness.client("run", "--level", "objects", "--format", "json", "--", harness.program("huge_libraries"),
                       address=daemon.address)
        environment = dict(os.environ, STARTSCOPE_ADDRESS=daemon.address)
        figures.add("show of a start with 200 libraries",
                    best_ms([str(harness.CLIENT), "show", "last"], env=environment), 20, " ms")
        storm(harness, daemon, options.storm_seconds, figures)
        watch = tracers.Startscope(harness, daemon, "objects", "exact")
        watch.start()
        for path in sorted(harness.PROGRAMS.iterdir()):
            if path.is_file() and os.access(path, os.X_OK) and path.name.startswith("hello"):
                subprocess.run([str(path)], stdout=subprocess.DEVNULL, check=False)
        time.sleep(1)
        begin = time.monotonic()
        watch.stop()
        figures.add("detaching all marks and probes", (time.monotonic() - begin) * 1000, 1000, " ms")
        watch.start()
        begin = time.monotonic()
        daemon.stop()
        figures.add("daemon stop, a watch armed", (time.monotonic() - begin) * 1000, 3000, " ms", 1.0)
        watch.process.send_signal(signal.SIGINT)  # it would wait for another daemon
        watch.process.wait(timeout=20)
    return 1 if figures.failed else 0


if __name__ == "__main__":
    sys.exit(main())
