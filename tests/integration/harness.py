# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""What the integration tests share: a daemon on a socket of its own, the client, and the rules that
every startup must satisfy. All programs are the real ones; all tracing is live."""

import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

# Clients are ended by SIGINT, as from a terminal. A shell that puts a run into the background has it ignored, and
# so would they.
signal.signal(signal.SIGINT, signal.default_int_handler)

BUILD = pathlib.Path(os.environ.get("STARTSCOPE_BUILD", "build")).resolve()
CLIENT = BUILD / "bin" / "startscope"
DAEMON = BUILD / "bin" / "startscoped"
EXPORTER = BUILD / "bin" / "startscope-exporter"
INSPECTOR = BUILD / "bin" / "startscope-inspector"
PROGRAMS = BUILD / "programs"
SOURCE = pathlib.Path(__file__).resolve().parents[2]
# With sanitizers all takes longer, and they call what the daemon itself never does (tests/sanitize.sh).
WAIT_FACTOR = float(os.environ.get("STARTSCOPE_WAIT_FACTOR", "1"))
WAIT_S = 30 * WAIT_FACTOR
SECCOMP = os.environ.get("STARTSCOPE_SECCOMP", "kill")
# What clients start as a daemon of their own.
PRIVATE_DAEMON = os.environ.get("STARTSCOPE_PRIVATE_DAEMON", str(DAEMON))


def program(name):
    path = PROGRAMS / name
    if not path.exists():
        raise AssertionError(f"{path} was not built")
    return str(path)


def command_of(words):
    """A command whose program is one of ours, by name, or the system's, by path."""
    return [words[0] if words[0].startswith("/") else program(words[0]), *words[1:]]


def wait_for(condition, what, timeout_s=WAIT_S):
    """Polls until condition() is true; fails with `what` otherwise."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {timeout_s} s in vain for: {what}")


def as_nobody():
    """preexec_fn: gives up all privileges."""
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def public_binaries():
    """Copies of client, daemon and inspector where every user can reach them; the caller removes the directory."""
    directory = tempfile.mkdtemp(prefix="startscope-public-")
    os.chmod(directory, 0o755)
    for binary in (CLIENT, DAEMON, INSPECTOR):
        shutil.copy(binary, directory)
    return directory


class Daemon:
    """startscoped on a Unix socket in a directory of its own, ready when constructed."""

    def __init__(self, *options, expect_ready=True):
        self.directory = tempfile.mkdtemp(prefix="startscope-test-")
        self.socket = os.path.join(self.directory, "sock")
        self.log_path = os.path.join(self.directory, "log")
        self.options = options
        self.process = None
        self.killed = False
        if expect_ready:
            self.start()

    @property
    def address(self):
        return "unix://" + self.socket

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def start(self):
        self.killed = False
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen(
                # A system call that the daemon should have no use for ends it, and the test.
                [str(DAEMON), "--listen", self.address, "--seccomp", SECCOMP, *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(lambda: "startscoped: ready" in self.log() or self.process.poll() is not None,
                 "the daemon to be ready")
        if self.process.poll() is not None:
            raise AssertionError("the daemon ended at once: " + self.log())

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=WAIT_S)
        return self.process.returncode if self.process else None

    def kill(self):
        self.killed = True
        self.process.kill()
        self.process.wait(timeout=WAIT_S)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        code = self.stop()
        failed = code not in (None, 0) and not self.killed
        said = self.log()[-2000:] if failed else ""
        shutil.rmtree(self.directory, ignore_errors=True)
        if failed:
            raise AssertionError(f"the daemon ended by itself with {code}: {said}")


def client(*arguments, address=None, timeout=120 * WAIT_FACTOR, **options):
    """Runs the client to its end; returns the CompletedProcess with text output."""
    environment = dict(os.environ, NO_COLOR="1", STARTSCOPE_DAEMON=PRIVATE_DAEMON)
    environment.pop("STARTSCOPE_ADDRESS", None)
    environment.update(options.pop("env", {}))
    command = [str(options.pop("binary", CLIENT))]
    if address:
        command += ["--address", address]
    command += [str(a) for a in arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, errors="replace", timeout=timeout,
                          env=environment, **options)


def run(command, *flags, daemon=None, expect=0):
    """startscope run --format json: the startups it printed."""
    done = client("run", "--format", "json", *flags, "--", *command,
                  address=daemon.address if daemon else None)
    if expect is not None and done.returncode != expect:
        raise AssertionError(f"run {command} gave {done.returncode}, not {expect}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]


def number(message, field):
    """A 64-bit field of proto3 JSON as int; None when it was not measured."""
    value = message.get(field)
    return None if value is None else int(value)


def check_startup(case, startup):
    """The rules that hold for every startup, whatever was asked."""
    total = number(startup, "total_ns")
    phases = startup.get("phases", [])
    case.assertTrue(phases, startup)
    offset = 0
    for phase in phases:
        case.assertEqual(number(phase, "offset_ns"), offset, "gap or overlap before " + phase["phase"])
        offset += number(phase, "duration_ns")
        parts = [number(phase, f) for f in ("on_cpu_ns", "runqueue_ns", "blocked_ns")]
        if None not in parts:
            case.assertEqual(sum(parts), number(phase, "duration_ns"))
        case.assertNotEqual(phase["begin_source"], "BOUNDARY_SOURCE_UNSPECIFIED", phase)
        case.assertEqual(sum(number(b, "duration_ns") for b in phase["blame"]),
                         number(phase, "duration_ns"), "the reasons of " + phase["phase"])
    case.assertEqual(sum(number(b, "duration_ns") for b in startup["blame"]), total,
                     "the reasons of the startup")
    case.assertEqual(offset, total, "phase durations must sum to total_ns")
    case.assertEqual(len({p["phase"] for p in phases}), len(phases), "a phase is listed twice")
    check_loader(case, startup)
    faults = startup["faults"]
    for kind in ("minor", "major"):
        by_phase = sum(number(p, kind + "_faults") for p in phases)
        case.assertEqual(by_phase, number(faults, kind), f"{kind} faults of the phases")
        if startup.get("objects"):
            by_object = sum(number(o, kind + "_faults") for o in startup["objects"])
            unattributed = number(startup["unattributed"], kind)
            case.assertEqual(by_object + unattributed, number(faults, kind),
                             f"{kind} faults of the objects")
            for o in startup["objects"]:
                by_segment = sum(number(s, kind + "_faults") for s in o.get("segments", []))
                case.assertEqual(by_segment, number(o, kind + "_faults"), o["path"])
                for segment in o.get("segments", []):
                    check_segment(case, o, segment)
        lost = any(d["kind"] in ("DEGRADATION_KIND_RECORDS_LOST", "DEGRADATION_KIND_INCONSISTENT")
                   for d in startup.get("degradations", []))
        kernel = number(faults, "kernel_" + kind)
        if kernel is not None and not lost:
            case.assertEqual(number(faults, kind), kernel, f"{kind} faults as the kernel counts")


def check_loader(case, startup):
    """What the loader spent on objects lies inside the phases that are named after it."""
    phases = {p["phase"]: p for p in startup["phases"]}

    def lasted(*names):
        return sum(number(phases["PHASE_" + n], "duration_ns") for n in names if "PHASE_" + n in phases)

    objects = startup.get("objects", [])
    mapping = phases.get("PHASE_DEPENDENCY_MAPPING")
    mapped = number(mapping, "offset_ns") + number(mapping, "duration_ns") if mapping else 0
    case.assertLessEqual(sum(number(o, "mapping_ns") or 0 for o in objects), lasted("DEPENDENCY_MAPPING"))
    at_start = [o for o in objects if (number(o, "map_offset_ns") or 0) <= mapped]
    case.assertLessEqual(sum(number(o, "relocation_ns") or 0 for o in at_start), lasted("RELOCATION"))
    if not startup.get("threads"):
        case.assertLessEqual(sum(number(o, "constructor_ns") or 0 for o in objects),
                             lasted("CONSTRUCTORS", "RUNTIME_INIT", "MAIN"))
    for o in objects:
        for field in ("mapping", "relocation", "constructor"):
            case.assertEqual(number(o, field + "_ns") is None,
                             o[field + "_source"] == "BOUNDARY_SOURCE_UNSPECIFIED", (field, o["path"]))
        offsets = [number(call, "offset_ns") for call in o["init_calls"]]
        case.assertEqual(offsets, sorted(offsets), o["path"])
        for call in o["init_calls"]:
            end = number(call, "offset_ns") + (number(call, "duration_ns") or 0)
            case.assertLessEqual(end, number(startup, "total_ns"), (o["path"], call))
    orders = sorted(o["load_order"] for o in objects if o["load_order"])
    case.assertEqual(orders, list(range(1, len(orders) + 1)))


def check_segment(case, owner, segment):
    """The rules that hold for a segment of an object."""
    by_access = sum(number(segment, access + "_faults") for access in ("read", "write", "fetch"))
    faults = number(segment, "minor_faults") + number(segment, "major_faults")
    case.assertLessEqual(by_access, faults, (owner["path"], segment))
    for field in ("pages_touched", "pages_dirtied"):
        if number(segment, field) is not None:
            case.assertLessEqual(number(segment, field), faults, (owner["path"], segment))


def phase_of(startup, name):
    for phase in startup["phases"]:
        if phase["phase"] == "PHASE_" + name:
            return phase
    return None


def bpftool(*arguments):
    """bpftool's JSON. It fails when something vanishes while it lists: then it is asked again."""
    for _ in range(100):
        done = subprocess.run(["bpftool", "-j", *arguments], capture_output=True, text=True)
        if done.returncode == 0:
            return json.loads(done.stdout or "[]")
        time.sleep(0.02)  # what is half there or half gone is one or the other soon
    raise AssertionError(f"bpftool {arguments}: {done.stdout} {done.stderr}")


def attached_programs():
    """Names of our BPF programs that are attached to anything, as bpftool sees it."""
    ours = {p["id"]: p["name"] for p in bpftool("prog", "show")
            if p.get("name", "").startswith("on_")}
    return [ours[l["prog_id"]] for l in bpftool("link", "show") if l.get("prog_id") in ours]


def loaded_programs():
    return [p["name"] for p in bpftool("prog", "show") if p.get("name", "") in
            ("on_process_exec", "on_process_exit", "on_mark", "on_fault_minor")]


class Watch:
    """`startscope watch --format json` in the background; startups are read as they come."""

    def __init__(self, daemon, *flags):
        environment = dict(os.environ, NO_COLOR="1")
        # Files, not pipes: nobody reads while the watch runs.
        self.out = tempfile.TemporaryFile("w+")
        self.err = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [str(CLIENT), "--address", daemon.address, "watch", "--no-reconnect", "--format", "json",
             *flags],
            stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err, env=environment,
            # A test run in the background hands down an ignored SIGINT, with which watches are ended.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        self.daemon = daemon

    def wait_armed(self):
        wait_for(lambda: "on_process_exec" in attached_programs() or self.process.poll() is not None,
                 "the watch to be armed")
        # The rules are written after the probes are attached.
        status = client("status", address=self.daemon.address)
        if status.returncode != 0:
            raise AssertionError(status.stderr)
        time.sleep(0.3)

    def finish(self, patience_s=0):
        """Ends the watch (after waiting for its own end, its --limit for instance) and returns the
        startups and its standard error."""
        try:
            self.process.wait(timeout=patience_s)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=WAIT_S)
        texts = []
        for file in (self.out, self.err):
            file.seek(0)
            texts.append(file.read())
            file.close()
        return [json.loads(line) for line in texts[0].splitlines() if line.strip()], texts[1]
