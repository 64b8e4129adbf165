# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Programs of every kind behave the same, watched at exact precision or not."""

import os
import shutil
import subprocess
import unittest

import harness
from rpc import Rpc, startup_service_pb2

TIMES = 3


def nobody_runs_setuid(public):
    copy = os.path.join(public, "setuid")
    shutil.copy(harness.program("hello_glibc_dynamic"), copy)
    os.chmod(copy, 0o4755)
    return [copy]


# Name, command, and whether it is run as an ordinary user.
def programs(public):
    p = harness.program
    hello = p("hello_glibc_dynamic")
    return [
        ("glibc", [hello], False),
        ("glibc without PIE", [p("hello_glibc_nopie")], False),
        ("glibc, static", [p("hello_glibc_static")], False),
        ("static-pie", [p("hello_glibc_static_pie_stripped")], False),
        ("musl", [p("hello_musl_dynamic")], False),
        ("musl, static", [p("hello_musl_static")], False),
        ("Go", [p("hello_go")], False),
        ("Go, stripped", [p("hello_go_stripped")], False),
        ("Rust", [p("hello_rust")], False),
        ("without libc", [p("freestanding_c")], False),
        ("Rust without std", [p("freestanding_rust")], False),
        ("setuid", nobody_runs_setuid(public), True),
        ("vfork and exec", [p("vfork_exec"), hello], False),
        ("clone3 and exec", [p("clone3_exec"), hello], False),
        ("exec by a thread", [p("thread_exec"), hello], False),
        ("exec chain", [p("exec_chain"), "20"], False),
        ("exec of a memfd", [p("memfd_exec"), p("hello_musl_static")], False),
        ("threads before main", [p("threads_before_main")], False),
        ("exit before main", [p("exit_in_constructor")], False),
        ("killed before main", [p("killed_at_start")], False),
        ("fault before main", [p("segv_at_start")], False),
        ("strict seccomp", [p("seccomp_strict")], False),
        ("own signal stack", [p("signal_stack")], False),
        ("own text checksummed", [p("self_checksum")], False),
        ("late dlopen", [p("dlopen_after_main")], False),
        ("ptraced", ["strace", "-f", "-e", "trace=none", "-e", "signal=none", "-qq", hello], False),
        ("ptraced, with a breakpoint", ["gdb", "-q", "-nx", "-batch", "-ex", "break main", "-ex", "run",
                                        "-ex", "continue", hello], False),
        ("script", [p("script.sh")], False),
        ("interpreter", ["python3", "-c", "import ctypes, sys; print(sys.argv); sys.exit(3)", "x"], False),
        ("shell with pipes", ["sh", "-c", "echo b a | tr ' ' '\\n' | sort; kill -TERM $$"], False),
        ("perl", ["perl", "-e", "$SIG{ALRM} = sub { print qq(alarm\\n); exit 4 }; alarm 1; sleep 9"], False),
    ]


def behaviour(command, ordinary):
    """Exit status or signal, and both outputs."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                          cwd="/", preexec_fn=harness.as_nobody if ordinary else None)
    # gdb names the process.
    hide = [line for line in done.stdout.splitlines() if b"process" not in line]
    return done.returncode, hide, done.stderr


class Harmless(unittest.TestCase):
    def test_programs_behave_the_same_with_and_without_a_watch(self):
        public = harness.public_binaries()
        self.addCleanup(shutil.rmtree, public)
        cases = programs(public)
        self.assertGreaterEqual(len(cases), 20)
        alone = [behaviour(command, ordinary) for _, command, ordinary in cases]
        # Whoever looks at its own text sees breakpoints in it: that is what the list is for.
        with harness.Daemon("--never-probe", harness.program("self_checksum")) as daemon, \
                Rpc(daemon) as client:
            stream = client.stub.WatchStartups(startup_service_pb2.WatchStartupsRequest(
                precision="PRECISION_EXACT", level="LEVEL_PAGES", syscalls=True, loader_events=True,
                samples=True))
            self.assertTrue(next(stream).HasField("armed"))
            for _ in range(TIMES):
                for (name, command, ordinary), expected in zip(cases, alone):
                    with self.subTest(program=name):
                        self.assertEqual(behaviour(command, ordinary), expected)
            # They were really watched, and with breakpoints.
            hits, last = {}, 0
            for message in stream:
                if not message.HasField("startup_finished"):
                    continue
                startup = message.startup_finished
                name = os.path.basename(startup.process.executable)
                hits[name] = hits.get(name, 0) + startup.observer.probe_hits
                last += startup.process.comm == "perl"
                if last == TIMES:
                    break
            stream.cancel()
            for name in ("hello_glibc_dynamic", "hello_musl_dynamic", "hello_go", "hello_rust", "signal_stack"):
                self.assertGreater(hits.get(name, 0), 0, name)


if __name__ == "__main__":
    unittest.main()
