# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""What program starts are measured under: nothing, startscope at its levels, and its peers. Each tracer is started,
says that it is ready, and is stopped, so that it can be measured in turns with the others."""

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

    def start(self):
        pass

    def stop(self):
        pass

    def wrap(self, command):
        return command


class Startscope(Native):
    """A watch of everything, by `startscope watch`, whose lines go to a file."""

    def __init__(self, harness, daemon, level, precision, *flags):
        self.harness = harness
        self.daemon = daemon
        self.name = f"startscope {level} {precision}" + "".join(" " + flag for flag in flags)
        self.flags = ["--level", level, "--precision", precision, *flags]
        self.out = None
        self.process = None

    def start(self):
        self.out = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [str(self.harness.CLIENT), "--address", self.daemon.address, "watch", *self.flags],
            stdin=subprocess.DEVNULL, stdout=self.out, stderr=subprocess.DEVNULL)
        # A start that is reported shows that the watch is armed.
        deadline = time.monotonic() + 20
        while self.out.seek(0, os.SEEK_END) == 0:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"{self.name}: not armed")
            subprocess.run(["/bin/true"], check=True)
            time.sleep(0.05)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=20)
        self.out.close()
        self.harness.wait_for(lambda: not self.harness.attached_programs(), "probes to be detached")


class Attached(Native):
    """A peer that watches the whole machine while it runs."""

    def __init__(self, name, command, ready_after_s):
        self.name = name
        self.command = command
        self.ready_after_s = ready_after_s
        self.directory = None
        self.process = None

    def start(self):
        self.directory = tempfile.mkdtemp(prefix="startscope-bench-")
        self.out = open(os.path.join(self.directory, "stdout"), "w")
        self.process = subprocess.Popen(
            [part.replace("{dir}", self.directory) for part in self.command],
            stdin=subprocess.DEVNULL, stdout=self.out, stderr=subprocess.DEVNULL)
        time.sleep(self.ready_after_s)  # the peers have no way to say so that all of them share
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name}: ended at once with {self.process.returncode}")

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)
        self.out.close()
        shutil.rmtree(self.directory)


class Wrapping(Native):
    """A peer that runs the command itself: the loop of starts is run under it."""

    def __init__(self, name, prefix):
        self.name = name
        self.prefix = prefix

    def wrap(self, command):
        return [*self.prefix, *command]


class Environment(Native):
    def __init__(self, name, environment):
        self.name = name
        self.environment = environment


def peers():
    """Those that are installed (see packages.txt)."""
    found = []
    if shutil.which("perf"):
        found.append(Attached("perf record page-faults", [
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
