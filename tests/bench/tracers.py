# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""What program starts are measured under: nothing, startscope at its levels, and its peers. Each tracer is started
and stopped once, and armed and disarmed often in between, so that what it costs is measured beside starts of a moment
before and after."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

# Loader of this machine, for the peer that puts probes into it.
LOADER = os.path.realpath("/lib64/ld-linux-x86-64.so.2")

# The nearest that bpftrace comes to startscope: each fault with its address, and the loader's debug hook.
BPFTRACE = """
BEGIN { printf("armed\\n"); }
software:page-faults:1 { @faults[pid] = count(); }
tracepoint:exceptions:page_fault_user { printf("%%d %%llx\\n", pid, args->address); }
tracepoint:sched:sched_process_exec { printf("exec %%d %%llu\\n", pid, nsecs); }
uprobe:%s:_dl_debug_state { printf("mark %%d %%llu\\n", pid, nsecs); }
""" % LOADER


class Native:
    """No tracer."""

    name = "native"
    environment = {}
    # Arming takes milliseconds: many small blocks. Otherwise a tenth of them.
    quick = True

    def start(self):
        pass

    def stop(self):
        pass

    def arm(self):
        pass

    def disarm(self):
        pass

    def wrap(self, command):
        return command


class Startscope(Native):
    """A watch by `startscope watch`, whose lines go to a file."""

    def __init__(self, harness, daemon, level, precision, *flags):
        self.harness = harness
        self.daemon = daemon
        self.name = " ".join(("startscope", level, precision, *flags))
        self.flags = ["--level", level, "--precision", precision, *flags]
        self.out = None
        self.process = None
        self.client = None

    def start(self):
        self.arm()
        # A start that is reported shows that everything works, not only that it is in place.
        deadline = time.monotonic() + 20
        heading = self.printed()
        while self.printed() == heading and "--uid" not in self.flags:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name}: nothing is reported")
            subprocess.run(["/bin/true"], check=True)
            time.sleep(0.05)

    def stop(self):
        if self.process is not None:
            self.disarm()
        if self.client is not None:
            self.client.__exit__()
            self.client = None

    def printed(self):
        return self.out.seek(0, os.SEEK_END)

    def arm(self):
        self.out = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [str(self.harness.CLIENT), "--address", self.daemon.address, "watch", *self.flags],
            stdin=subprocess.DEVNULL, stdout=self.out, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while self.printed() == 0:  # its heading, when the watch is armed
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"{self.name}: not armed")
            time.sleep(0.001)

    def disarm(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=20)
        self.process = None
        self.out.close()
        deadline = time.monotonic() + 20
        while self.attached():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name}: probes stay attached")
            time.sleep(0.001)

    def attached(self):
        import rpc
        if self.client is None:
            self.client = rpc.Rpc(self.daemon)
        status = self.client.stub.GetStatus(rpc.startup_service_pb2.GetStatusRequest(), timeout=20)
        return any(probe.attachments for probe in status.probes)


class Attached(Native):
    """A peer that watches the whole machine while it runs."""

    quick = False

    def __init__(self, name, command, ready_after_s):
        self.name = name
        self.command = command
        self.ready_after_s = ready_after_s
        self.directory = None
        self.process = None

    def launch(self, **options):
        self.directory = tempfile.mkdtemp(prefix="startscope-bench-")
        self.out = open(os.path.join(self.directory, "stdout"), "w")
        self.process = subprocess.Popen(
            [part.replace("{dir}", self.directory) for part in self.command],
            stdin=subprocess.DEVNULL, stdout=self.out, stderr=subprocess.DEVNULL, **options)
        time.sleep(self.ready_after_s)  # the peers have no way to say so that all of them share
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name}: ended at once with {self.process.returncode}")

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)
        self.out.close()
        shutil.rmtree(self.directory)

    def arm(self):
        self.launch()

    def disarm(self):
        self.end()


class Controlled(Attached):
    """perf record, which is told through a pipe when to count."""

    quick = True

    def start(self):
        control, self.control = os.pipe()
        self.answers, answers = os.pipe()
        self.command = [*self.command, "--delay=-1", f"--control=fd:{control},{answers}"]
        self.launch(pass_fds=(control, answers))
        os.close(control)
        os.close(answers)

    def stop(self):
        self.end()
        os.close(self.control)
        os.close(self.answers)

    def tell(self, what):
        os.write(self.control, what)
        if not os.read(self.answers, 16).startswith(b"ack"):
            raise RuntimeError(f"{self.name}: {what} was not answered")

    def arm(self):
        self.tell(b"enable\n")

    def disarm(self):
        self.tell(b"disable\n")


class Wrapping(Native):
    """A peer that runs the command itself: the loop of starts is run under it."""

    quick = False

    def __init__(self, name, prefix):
        self.name = name
        self.prefix = prefix

    def wrap(self, command):
        return [*self.prefix, *command]


class Environment(Native):
    def __init__(self, name, environment):
        self.name = name
        self.environment = environment


def levels(harness, daemon):
    return [Startscope(harness, daemon, level, precision)
            for level in ("phases", "objects", "pages") for precision in ("unperturbed", "exact")]


def details(harness, daemon):
    """What is asked for beside a level, and what a start pays that the filter leaves out."""
    others = ("--uid", "65534")
    return [Startscope(harness, daemon, *row) for row in (
        ("objects", "exact", "--waits"), ("objects", "exact", "--syscalls"),
        ("pages", "exact", "--timeline"), ("phases", "exact", *others), ("objects", "unperturbed", *others), ("pages", "exact", *others))]


def peers():
    """Those that are installed (see packages.txt)."""
    found = []
    if shutil.which("perf"):
        found.append(Controlled("perf record page-faults", [
            "perf", "record", "-q", "-a", "-d", "-e", "page-faults", "-c", "1", "-o", "{dir}/data"], 1.0))
        found.append(Attached("perf trace faults", [
            "perf", "trace", "-a", "-F", "all", "--no-syscalls", "-o", "{dir}/data"], 1.5))
    if shutil.which("bpftrace"):
        found.append(Attached("bpftrace faults and marks", ["bpftrace", "-e", BPFTRACE], 4.0))
    if shutil.which("strace"):
        found.append(Wrapping("strace -f", ["strace", "-f", "-o", "/dev/null"]))
    if shutil.which("ltrace"):
        found.append(Wrapping("ltrace -f", ["ltrace", "-f", "-o", "/dev/null"]))
    found.append(Environment("LD_DEBUG=statistics", {"LD_DEBUG": "statistics"}))
    return found
