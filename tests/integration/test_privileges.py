# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""The daemon gives up what it does not need, and still does its work; its unit is as tight as it says."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import harness
from rpc import Rpc, startup_service_pb2

UNITS = harness.SOURCE / "deploy" / "systemd"
FOUR = {"CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"}
BITS = {"CAP_DAC_READ_SEARCH": 2, "CAP_SYS_PTRACE": 19, "CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38,
        "CAP_BPF": 39}
USER = "nobody"


def paranoid():
    return int(pathlib.Path("/proc/sys/kernel/perf_event_paranoid").read_text())


def status_of(process):
    text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return dict(re.findall(r"^(\w+):\s*(.*)$", text, re.M))


class Dropped(unittest.TestCase):
    def test_all_threads_have_only_what_the_status_says(self):
        with harness.Daemon("--user", USER) as daemon, Rpc(daemon) as rpc:
            privileges = rpc.stub.GetStatus(startup_service_pb2.GetStatusRequest()).privileges
            expected = FOUR | ({"CAP_SYS_ADMIN"} if paranoid() >= 3 else set())
            self.assertEqual(set(privileges.capabilities), expected)
            self.assertEqual(privileges.seccomp, "kill")
            self.assertTrue(privileges.no_new_privileges)
            for name in expected:
                self.assertTrue(any(r.startswith(name + ": ") for r in privileges.reasons), name)
            mask = sum(1 << BITS[name] for name in expected)
            for task in os.listdir(f"/proc/{daemon.process.pid}/task"):
                text = pathlib.Path(f"/proc/{daemon.process.pid}/task/{task}/status").read_text()
                fields = dict(re.findall(r"^(\w+):\s*(.*)$", text, re.M))
                self.assertEqual(int(fields["CapPrm"], 16), mask)
                self.assertEqual(int(fields["CapEff"], 16), mask)
                for empty in ("CapInh", "CapBnd", "CapAmb"):
                    self.assertEqual(int(fields[empty], 16), 0, empty)
                self.assertEqual(fields["NoNewPrivs"], "1")
                self.assertEqual(fields["Seccomp"], "2")
                self.assertEqual(set(fields["Uid"].split()), {str(privileges.uid)})
                self.assertNotEqual(privileges.uid, 0)

    def test_without_a_user_root_keeps_no_more_than_it_needs(self):
        with harness.Daemon() as daemon:
            fields = status_of(daemon.process)
            self.assertEqual(int(fields["CapBnd"], 16), 0)
            kept = int(fields["CapEff"], 16)
            self.assertFalse(kept & (1 << 1), "CAP_DAC_OVERRIDE")
            self.assertFalse(kept & (1 << 16), "CAP_SYS_MODULE")

    def test_tracing_and_files_of_others_work_after_the_drop(self):
        directory = tempfile.mkdtemp(prefix="startscope-private-")
        self.addCleanup(shutil.rmtree, directory)
        os.chmod(directory, 0o700)
        # Nobody but root may read it; the daemon is not root.
        private = os.path.join(directory, "hello")
        shutil.copy(harness.program("hello_glibc_dynamic"), private)
        os.chmod(private, 0o700)
        with harness.Daemon("--user", USER) as daemon:
            for _ in range(2):
                startups = harness.run([private], "--until", "exit", daemon=daemon)
                harness.check_startup(self, startups[0])
                kinds = {d["kind"] for d in startups[0].get("degradations", [])}
                self.assertNotIn("DEGRADATION_KIND_UNREADABLE_IMAGE", kinds, startups[0])
                self.assertNotIn("DEGRADATION_KIND_PROBE_UNAVAILABLE", kinds, startups[0])
            # Attached much later than the drop, to a file that nobody asked to prepare.
            watch = harness.Watch(daemon, "--exe", private, "--limit", "2")
            watch.wait_armed()
            for _ in range(2):
                subprocess.run([private], check=True, stdout=subprocess.DEVNULL)
            startups, errors = watch.finish(patience_s=20)
            self.assertEqual(len(startups), 2, errors)
            self.assertGreater(int(startups[1]["observer"]["probe_hits"]), 0)

    def test_a_client_prepares_its_own_file_and_learns_nothing_of_others(self):
        public = harness.public_binaries()
        self.addCleanup(shutil.rmtree, public)
        home = os.path.join(public, "home")
        secret = os.path.join(public, "secret")
        for path, owner in ((home, 65534), (secret, 0)):
            os.mkdir(path)
            shutil.copy(harness.program("hello_glibc_dynamic"), path + "/hello")
            os.chmod(path, 0o700)
            os.chown(path, owner, owner)
            os.chown(path + "/hello", owner, owner)
        for options in ((), ("--user", "games")):
            with self.subTest(options=options), harness.Daemon(*options) as daemon:
                os.chmod(daemon.directory, 0o755)
                os.chmod(daemon.socket, 0o666)
                mine = harness.client("run", "--format", "json", "--", home + "/hello",
                                      address=daemon.address, binary=public + "/startscope",
                                      preexec_fn=harness.as_nobody)
                startup = json.loads(mine.stdout.splitlines()[-1])
                self.assertFalse([d for d in startup["degradations"]
                                  if d["kind"] == "DEGRADATION_KIND_UNREADABLE_IMAGE"], startup)
                answers = set()
                for path in (secret + "/hello", secret + "/missing"):
                    asked = subprocess.run(
                        ["/usr/bin/python3", "-c", PREPARE, daemon.address, path,
                         os.path.dirname(harness.__file__), public],
                        stdout=subprocess.PIPE, text=True, check=True)
                    answers.add(asked.stdout.replace(path, "PATH"))
                self.assertEqual(len(answers), 1, answers)
                self.assertIn("ermission", answers.pop())


# Asks, as an ordinary user, for an executable to be prepared; prints what is told of it.
PREPARE = """
import os, sys
sys.path.insert(0, sys.argv[3])
os.environ["STARTSCOPE_BUILD"] = sys.argv[4]
import rpc, harness
os.setgroups([]); os.setgid(65534); os.setuid(65534)
import grpc
stub = rpc.startup_service_pb2_grpc.StartupServiceStub(grpc.insecure_channel(sys.argv[1]))
stream = stub.WatchStartups(rpc.startup_service_pb2.WatchStartupsRequest(
    prepare_executables=[sys.argv[2]]))
print([d.detail for d in next(iter(stream)).armed.degradations])
stream.cancel()
os._exit(0) if not sys.stdout.flush() else None
"""


class Unit(unittest.TestCase):
    def exposure(self, *extra):
        directory = tempfile.mkdtemp(prefix="startscope-unit-")
        self.addCleanup(shutil.rmtree, directory)
        unit = shutil.copy(UNITS / "startscoped.service", directory)
        if extra:
            os.mkdir(unit + ".d")
        for name in extra:
            shutil.copy(UNITS / name, unit + ".d")
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", unit],
                              capture_output=True, text=True)
        found = re.search(r"Overall exposure level for \S+ ([0-9.]+)", done.stdout)
        self.assertTrue(found, done.stdout + done.stderr)
        return float(found.group(1))

    def test_exposure(self):
        self.assertLessEqual(self.exposure(), 1.5)
        self.assertLessEqual(self.exposure("startscoped-sys-admin.conf"), 2.5)

    def allowed_calls(self):
        """What the unit's SystemCallFilter lines let pass."""
        def expand(names):
            calls = set()
            for name in names:
                if not name.startswith("@"):
                    calls.add(name)
                    continue
                listed = subprocess.run(["systemd-analyze", "syscall-filter", name],
                                        capture_output=True, text=True, check=True).stdout
                calls |= expand([l.strip() for l in listed.splitlines()[1:]
                                 if l.strip() and not l.strip().startswith("#")])
            return calls

        allowed = expand(["@default"])
        for line in (UNITS / "startscoped.service").read_text().splitlines():
            if not line.startswith("SystemCallFilter="):
                continue
            value = line.partition("=")[2]
            names = expand(value.lstrip("~").split())
            allowed = allowed - names if value.startswith("~") else allowed | names
        return allowed

    def test_the_unit_allows_the_calls_that_the_daemon_makes(self):
        directory = tempfile.mkdtemp(prefix="startscope-calls-")
        self.addCleanup(shutil.rmtree, directory)
        trace = os.path.join(directory, "trace")
        user = ["capsh", "--keep=1", f"--user={USER}", "--inh=cap_bpf,cap_perfmon,cap_sys_ptrace,"
                "cap_dac_read_search", "--addamb=cap_bpf,cap_perfmon,cap_sys_ptrace,"
                "cap_dac_read_search", "--"]
        os.chmod(directory, 0o777)
        address = os.path.join(directory, "sock")
        # As systemd starts it: an ordinary user with four ambient capabilities, whose own group is the
        # administrators'.
        public = harness.public_binaries()
        self.addCleanup(shutil.rmtree, public)
        with open(trace + ".log", "w") as log:
            process = subprocess.Popen(
                ["strace", "-f", "-qq", "-o", trace, *user, "-c",
                 f"exec {public}/startscoped --listen unix://{address} --admin-group nogroup"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            harness.wait_for(lambda: "ready" in pathlib.Path(trace + ".log").read_text()
                             or process.poll() is not None, "the daemon to be ready")
            done = harness.client("run", "--level", "pages", "--format", "json", "--", "/bin/ls",
                                  address="unix://" + address)
            self.assertEqual(done.returncode, 0, done.stderr + pathlib.Path(trace + ".log").read_text())
            startup = json.loads(done.stdout.splitlines()[-1])
            harness.check_startup(self, startup)
        finally:
            pid = int(subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True,
                                     text=True).stdout.split()[0])
            os.kill(pid, signal.SIGTERM)
            process.wait(timeout=harness.WAIT_S)
        text = pathlib.Path(trace).read_text()
        # From the daemon's own execve on.
        start = text.index(f'execve("{public}/startscoped"')
        made = set(re.findall(r"^\d+ +(?:<\.\.\. )?([a-z0-9_]+)(?:\(| resumed)", text[start:], re.M))
        self.assertIn("bpf", made)
        # Tried, and done without when refused: the limits come from the unit, and clients' files are
        # opened another way.
        # The inspector's empty root directory is one of what its sandbox may lack.
        optional = {"prlimit64", "setfsuid", "setfsgid", "setgroups", "execve", "mount", "pivot_root",
                    "umount2"}
        self.assertEqual(made - self.allowed_calls() - optional, set())


class Manager(unittest.TestCase):
    """A service manager's end of sd_notify(3)."""

    def start(self, **environment):
        directory = tempfile.mkdtemp(prefix="startscope-notify-")
        self.addCleanup(shutil.rmtree, directory)
        path = os.path.join(directory, "notify")
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.bind(path)
        manager.settimeout(harness.WAIT_S)
        self.addCleanup(manager.close)
        process = subprocess.Popen(
            [str(harness.DAEMON), "--listen", f"unix://{directory}/sock", "--seccomp", harness.SECCOMP],
            env=dict(os.environ, NOTIFY_SOCKET=path, **environment),
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, manager, directory

    def test_readiness_and_end_are_told(self):
        process, manager, directory = self.start()
        self.assertIn(b"READY=1", manager.recv(256))
        # Ready means that clients are served.
        self.assertEqual(harness.client("status", address=f"unix://{directory}/sock").returncode, 0)
        process.terminate()
        self.assertEqual(manager.recv(256), b"STOPPING=1")
        self.assertEqual(process.wait(timeout=harness.WAIT_S), 0)

    def test_the_watchdog_is_petted_while_the_core_works(self):
        _, manager, _ = self.start(WATCHDOG_USEC="1000000")
        self.assertIn(b"READY=1", manager.recv(256))
        pets, end = 0, time.monotonic() + 3
        while time.monotonic() < end:
            pets += manager.recv(256) == b"WATCHDOG=1"
        self.assertGreaterEqual(pets, 4)

    def test_a_core_that_hangs_is_not_petted(self):
        process, manager, _ = self.start(WATCHDOG_USEC="1000000")
        self.assertIn(b"READY=1", manager.recv(256))
        # Only the core thread is stopped, by a tracer.
        def threads():
            tasks = pathlib.Path(f"/proc/{process.pid}/task")
            return {(task / "comm").read_text().strip(): int(task.name) for task in tasks.iterdir()}

        core = harness.wait_for(lambda: threads().get("core"), "the core thread to have its name")
        tracer = subprocess.Popen(["strace", "-p", str(core), "-e", "inject=all:delay_enter=30s",
                                   "-o", "/dev/null"], stderr=subprocess.DEVNULL)
        self.addCleanup(tracer.wait)
        self.addCleanup(tracer.terminate)
        manager.settimeout(4)
        silent = False
        for _ in range(20):
            try:
                manager.recv(256)
            except TimeoutError:
                silent = True
                break
        self.assertTrue(silent, "the watchdog was petted though the core thread hung")


if __name__ == "__main__":
    unittest.main()
