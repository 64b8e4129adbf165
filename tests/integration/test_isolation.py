# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Users see nothing of each other, names of any bytes travel unharmed, and secrets are not collected.

STARTSCOPE_LONG=1: 10,000 starts of each user and 20,000 names instead of 1,000; a million random texts instead
of five thousand."""

import itertools
import json
import multiprocessing
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import unicodedata
import unittest

import harness
from rpc import Rpc, as_dict, startup_service_pb2

LONG = bool(os.environ.get("STARTSCOPE_LONG"))
STARTS = 10000 if LONG else 1000
NAMES = 20000 if LONG else 1000
RANDOM_STARTS = 20000 if LONG else 100
RANDOM_ARGUMENTS = 48
NOBODY = 65534
BIDI_CONTROLS = ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI")

# Runs argv[2] argv[3] times as user argv[1], with names from standard input, one a line in hex, if any.
STARTER = """
import os, subprocess, sys
uid, program, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
names = [bytes.fromhex(l) for l in sys.stdin.read().split()]
if uid:
    os.setgroups([]); os.setgid(uid); os.setuid(uid)
for i in range(count):
    child = os.posix_spawn(program, [names[i] if names else program], {},
                           file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
    os.waitpid(child, 0)
"""


def random_bytes(dice, most, without=b"\0"):
    """What terminals and parsers trip over, and anything else."""
    drawn = bytes(dice.choice(b"\x1b\x9b\xc2\x85\xe2\x80\xae\n\r\\x[]0;\x07") if dice.random() < .5
                  else dice.randrange(1, 256) for _ in range(dice.randrange(1, most)))
    return bytes(b for b in drawn if b not in without) or b"x"


def start_at_random(program, directory, seed):
    """Runs the program under names, and with arguments, of random bytes, as nobody; in a process of its own."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    for name, arguments in random_starts(seed):
        path = os.path.join(os.fsencode(directory), name)
        os.link(program, path)
        child = os.posix_spawn(path, arguments, {},
                               file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
        if os.waitpid(child, 0)[1] != 0:
            raise AssertionError(path)
        os.unlink(path)


def random_starts(seed):
    dice = random.Random(seed)
    for i in range(RANDOM_STARTS):
        yield (random_bytes(dice, 60, b"\0/") + b"%d" % i,
               [random_bytes(dice, 60) for _ in range(1 + RANDOM_ARGUMENTS)])


def unescape(text):
    """The bytes that the lossless text form stands for."""
    return re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m.group(1), 16)]), text.encode())


class Isolation(unittest.TestCase):
    def setUp(self):
        self.public = harness.public_binaries()
        self.addCleanup(shutil.rmtree, self.public)
        self.program = os.path.join(self.public, "hello")
        shutil.copy(harness.program("hello_musl_static"), self.program)

    def starter(self, uid, count, names=()):
        return subprocess.Popen([sys.executable, "-c", STARTER, str(uid), self.program, str(count)],
                                stdin=subprocess.PIPE, text=True), "\n".join(n.hex() for n in names)

    def test_two_users_with_many_starts_see_their_own_only(self):
        # A program that changes its user at exec is nobody's business but root's.
        setuid = os.path.join(self.public, "setuid")
        shutil.copy(self.program, setuid)
        os.chmod(setuid, 0o4755)
        other_uid = 4711
        # Nobody's pace is to decide what is seen: not the starters', nor the clients'.
        with harness.Daemon("--cgroup-rate", "0", "--queue-startups", str(4 * STARTS)) as daemon, \
                tempfile.TemporaryDirectory() as directory:
            os.chmod(daemon.directory, 0o755)
            os.chmod(daemon.socket, 0o666)
            watches = []
            for uid in (NOBODY, other_uid):
                def become(uid=uid):
                    os.setgroups([])
                    os.setgid(uid)
                    os.setuid(uid)
                out = open(os.path.join(directory, str(uid)), "w+")
                watches.append((uid, out, subprocess.Popen(
                    [self.public + "/startscope", "--address", daemon.address, "watch", "--format",
                     "json", "--precision", "unperturbed", "--limit", str(STARTS)],
                    stdout=out, stderr=subprocess.DEVNULL, preexec_fn=become)))
            with Rpc(daemon) as client:
                harness.wait_for(lambda: client.stub.GetStatus(
                    startup_service_pb2.GetStatusRequest()).subscribers == 2, "both watches")
            starters = [self.starter(uid, STARTS)[0] for uid in (NOBODY, other_uid, 0)]
            starters.append(subprocess.Popen(
                [sys.executable, "-c", STARTER, str(NOBODY), setuid, "100"], stdin=subprocess.PIPE))
            for starter in starters:
                starter.communicate()
                self.assertEqual(starter.returncode, 0)
            for uid, out, watch in watches:
                watch.wait(timeout=60)
                out.seek(0)
                seen = [json.loads(line)["process"] for line in out]
                self.assertEqual(len(seen), STARTS)
                foreign = [p for p in seen if p["uid"] != uid or p["secure"]
                           or p["executable"].endswith("/setuid")]
                self.assertEqual(foreign, [])

    def test_names_of_any_bytes_are_lossless_and_harmless(self):
        dice = random.Random(7)
        names = [random_bytes(dice, 60) for _ in range(NAMES)]
        strange = os.path.join(os.fsencode(self.public), b"\x1b[31m\xff\xfe\xe2\x80\xaename")
        shutil.copy(self.program, strange)
        with harness.Daemon("--queue-startups", "65536", "--keep", "65536") as daemon, \
                Rpc(daemon) as client:
            request = startup_service_pb2.WatchStartupsRequest(precision="PRECISION_UNPERTURBED")
            request.allow.add().executable.append(self.program)
            stream = client.stub.WatchStartups(request)
            self.assertTrue(next(stream).HasField("armed"))
            starter, text = self.starter(NOBODY, NAMES, names)
            starter.communicate(text)
            self.assertEqual(starter.returncode, 0)
            received = []
            for message in stream:
                if message.HasField("startup_finished"):
                    received.append(unescape(message.startup_finished.process.argv[0]))
                    if len(received) == NAMES:
                        break
            stream.cancel()
            self.assertEqual(received, names)
            # The path and comm of this one are as bad; they go through the terminal form as well.
            stream = client.stub.WatchStartups(request.__class__(precision="PRECISION_EXACT"))
            self.assertTrue(next(stream).HasField("armed"))
            subprocess.run([strange], check=True, stdout=subprocess.DEVNULL)
            for message in stream:
                if message.HasField("startup_finished") and \
                        unescape(message.startup_finished.process.executable) == strange:
                    break
            stream.cancel()
            shown = message.startup_finished.startup_id
            for form, command in itertools.product(("text", "json"), (["show", shown], ["run", "--", strange])):
                done = subprocess.run([harness.CLIENT, "--address", daemon.address, command[0], "--format",
                                       form, "--color", "never", *command[1:]],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT)
                self.assertEqual(done.returncode, 0, done.stdout)
                for bad in (b"\x1b", b"\x9b[", b"\xff", "\u202e".encode()):
                    # JSON escapes what UTF-8 has no objection to as it must, or a terminal shows it.
                    if form == "text" or bad != "\u202e".encode():
                        self.assertNotIn(bad, done.stdout, form)
            listed = subprocess.run([harness.CLIENT, "--address", daemon.address, "list"],
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.assertEqual([b for b in listed.stdout if b < 32 and b != 10], [])

    def test_random_bytes_in_every_place_for_them(self):
        directory = os.path.join(self.public, "names")
        os.mkdir(directory)
        os.chmod(directory, 0o777)
        # Links of a file need not be its owner's alone (fs.protected_hardlinks).
        os.chown(self.program, NOBODY, NOBODY)
        seed = 7
        with harness.Daemon("--collect-arguments", "--queue-startups", str(4 * RANDOM_STARTS),
                            "--cgroup-rate", "0") as daemon:
            command = [str(harness.CLIENT), "--address", daemon.address, "watch", "--no-reconnect", "--uid",
                       str(NOBODY), "--limit", str(RANDOM_STARTS), "--precision", "unperturbed",
                       "--color", "never"]
            shown = {form: tempfile.TemporaryFile() for form in ("json", "text")}
            watches = {form: subprocess.Popen(command + how, stdin=subprocess.DEVNULL, stdout=shown[form],
                                              stderr=subprocess.STDOUT)
                       for form, how in (("json", ["--format", "json"]), ("text", ["--verbose"]))}
            harness.wait_for(lambda: json.loads(harness.client(
                "status", "--format", "json", address=daemon.address).stdout)["subscribers"] == 2, "both")
            starter = multiprocessing.get_context("fork").Process(
                target=start_at_random, args=(self.program, directory, seed))
            starter.start()
            starter.join()
            self.assertEqual(starter.exitcode, 0)
            for form, watch in watches.items():
                self.assertEqual(watch.wait(timeout=300), 0, form)
        told = {}
        for file in shown.values():
            file.seek(0)
        for line in shown["json"]:
            bad = [c for c in line.decode() if c != "\n" and unicodedata.category(c) == "Cc"]
            self.assertEqual(bad, [])
            if line.startswith(b"{"):
                process = json.loads(line.decode())["process"]
                told[unescape(process["executable"])] = process
        # Nothing that a terminal would do more with than show it.
        for line in shown["text"]:
            bad = [c for c in line.decode() if c != "\n" and (unicodedata.category(c) in ("Cc", "Cs") or
                                                              unicodedata.bidirectional(c) in BIDI_CONTROLS)]
            self.assertEqual(bad, [])
        texts = 0
        for name, arguments in random_starts(seed):
            process = told.pop(os.path.join(os.fsencode(directory), name))
            self.assertEqual([unescape(a) for a in process["argv"]], arguments)
            self.assertEqual(unescape(process["comm"]), name[:15])
            texts += 2 + len(arguments)
        self.assertEqual(told, {})
        print(f"{texts} texts", end=" ")

    def test_a_planted_secret_is_nowhere(self):
        secret = b"hunter2-" + os.urandom(12).hex().encode()
        recording = os.path.join(self.public, "recording")
        with harness.Daemon("--record", recording) as daemon, Rpc(daemon) as client:
            told = b""
            stream = client.stub.WatchStartups(startup_service_pb2.WatchStartupsRequest(
                level="LEVEL_PAGES", syscalls=True, loader_events=True, waits=True, samples=True,
                until="UNTIL_EXIT"))
            told += next(stream).SerializeToString()
            for program in ("hello_glibc_dynamic", "hello_go", "hello_musl_static"):
                subprocess.run([harness.program(program), b"--password=" + secret],
                               env={"SECRET": secret.decode(), "PATH": "/bin"}, check=True,
                               stdout=subprocess.DEVNULL)
            finished = 0
            for message in stream:
                told += message.SerializeToString()
                finished += message.HasField("startup_finished")
                if finished >= 3:
                    break
            stream.cancel()
            told += client.stub.GetStatus(
                startup_service_pb2.GetStatusRequest()).SerializeToString()
            told += client.stub.ListStartups(
                startup_service_pb2.ListStartupsRequest()).SerializeToString()
            # The whole memory of the daemon, the ring among it.
            memory = self.memory_of(daemon.process.pid)
            self.assertIn(b"hello_musl_static", told)
            self.assertIn(b"hello_musl_static", memory)
            daemon.stop()
            everything = {"messages": told, "memory": memory, "log": daemon.log().encode(),
                          "recording": pathlib.Path(recording).read_bytes()}
            for what, data in everything.items():
                self.assertNotIn(secret, data, what)

    def memory_of(self, pid):
        parts = []
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
            for line in maps:
                fields = line.split()
                begin, end = (int(n, 16) for n in fields[0].split("-"))
                if "r" not in fields[1] or fields[-1] in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                    continue
                try:
                    memory.seek(begin)
                    parts.append(memory.read(end - begin))
                except OSError:
                    continue
        return b"".join(parts)


class NeverProbe(unittest.TestCase):
    def test_files_and_control_groups_are_left_alone(self):
        with tempfile.TemporaryDirectory() as directory:
            programs = {}
            for name in ("path", "build_id", "other"):
                programs[name] = os.path.join(directory, name)
                source = "hello_go" if name == "build_id" else "hello_musl_static"
                shutil.copy(harness.program(source), programs[name])
            build_id = re.search(r"Build ID: (\w+)", subprocess.run(
                ["readelf", "-n", harness.program("hello_glibc_static")], capture_output=True,
                text=True).stdout).group(1)
            shutil.copy(harness.program("hello_glibc_static"), programs["build_id"])
            rules = os.path.join(directory, "rules")
            pathlib.Path(rules).write_text(f"# left alone\n\nbuild-id:{build_id}\n")
            group = self.make_cgroup()
            link = os.path.join(directory, "link")
            os.symlink(programs["path"], link)
            with harness.Daemon("--never-probe", link, "--never-probe-file", rules,
                                "--never-probe", "cgroup:/startscope-never") as daemon, \
                    Rpc(daemon) as client:
                for name in ("path", "build_id"):
                    startup = client.run([programs[name]]).startups[0]
                    harness.check_startup(self, startup)
                    self.assertIn("--never-probe",
                                  " ".join(d["detail"] for d in startup["degradations"]))
                marks = {i["path"]: i["marks"] for i in
                         as_dict(client.stub.GetStatus(startup_service_pb2.GetStatusRequest()))["images"]}
                self.assertEqual(marks[programs["path"]], [])
                self.assertEqual(marks[programs["build_id"]], [])
                startup = client.run([programs["other"]]).startups[0]
                self.assertNotIn("--never-probe",
                                 " ".join(d["detail"] for d in startup["degradations"]))
                # One in the group, below it; one outside, which ends the wait.
                request = startup_service_pb2.WatchStartupsRequest()
                request.allow.add().executable.append(programs["other"])
                stream = client.stub.WatchStartups(request)
                next(stream)
                inside = subprocess.Popen(
                    [programs["other"]], stdout=subprocess.DEVNULL,
                    preexec_fn=lambda: pathlib.Path(group, "cgroup.procs").write_text(str(os.getpid())))
                inside.wait()
                outside = subprocess.Popen([programs["other"]], stdout=subprocess.DEVNULL)
                outside.wait()
                pids = []
                for message in stream:
                    if message.HasField("startup_finished"):
                        pids.append(message.startup_finished.process.pid)
                        break
                stream.cancel()
                self.assertEqual(pids, [outside.pid])

    def make_cgroup(self):
        root = [l.split()[1] for l in open("/proc/mounts") if l.split()[2] == "cgroup2"][0]
        outer, inner = root + "/startscope-never", root + "/startscope-never/below"
        for path in (outer, inner):
            os.makedirs(path, exist_ok=True)
        self.addCleanup(lambda: [os.rmdir(path) for path in (inner, outer)])
        return inner

    def test_bad_rules_are_named(self):
        for rule in ("relative", "build-id:xyz", "cgroup:/"):
            done = subprocess.run([harness.DAEMON, "--never-probe", rule], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2)
            self.assertIn(rule, done.stderr)


if __name__ == "__main__":
    unittest.main()
