# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Programs of every kind behave the same, watched at exact precision or not."""

import os
import shutil
import subprocess
import threading
import unittest

import harness
from rpc import Rpc, startup_service_pb2

TIMES = 3


def with_mode(public, source, name, mode):
    copy = os.path.join(public, name)
    shutil.copy(source, copy)
    os.chmod(copy, mode)
    return copy


def with_capability(public):
    """Prints which capabilities it has, given by its file."""
    copy = with_mode(public, "/usr/bin/grep", "grep", 0o755)
    subprocess.run(["setcap", "cap_net_raw+ep", copy], check=True)
    return copy


# Name, command, and whether it is run as an ordinary user.
def programs(public):
    p = harness.program
    hello = p("hello_glibc_dynamic")
    zlib = "/usr/lib/x86_64-linux-gnu/libz.so.1"
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
        ("32-bit", [p("hello_i386")], False),
        ("cgo", [p("go_cgo")], False),
        ("Go packages", [p("go_packages")], False),
        ("C++ static objects", [p("cpp_units")], False),
        ("200 libraries", [p("huge_libraries"), "1"], False),
        ("setuid", [with_mode(public, hello, "setuid", 0o4755)], True),
        ("setgid", [with_mode(public, "/usr/bin/id", "setgid", 0o2755)], True),
        ("file capabilities", [with_capability(public), "CapEff", "/proc/self/status"], True),
        ("through its loader", ["/lib64/ld-linux-x86-64.so.2", hello], False),
        ("preloaded library", ["env", "LD_PRELOAD=" + zlib, hello], False),
        ("bound at once, without ASLR", ["env", "LD_BIND_NOW=1", "setarch", "-R", hello], False),
        ("little memory", ["sh", "-c", f"ulimit -v 8000; ulimit -n 8; exec {hello}"], False),
        ("namespaces of its own", ["unshare", "-Urpfn", "sh", "-c", "echo $$ $(id -u)"], False),
        ("root of its own", ["/usr/sbin/chroot", "/", hello], False),
        ("leaves its session", [p("daemonizes")], False),
        ("own page faults and breakpoints", [p("own_faults")], False),
        ("own text changed", [p("rewrites_itself")], False),
        ("signals all the time", [p("signal_storm"), zlib], False),
        ("one step at a time", [p("single_steps"), p("hello_musl_dynamic")], False),
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
        ("late dlopen", [p("dlopen_after_main"), zlib], False),
        ("ptraced", ["strace", "-f", "-e", "trace=none", "-e", "signal=none", "-qq", hello], False),
        ("ptraced, with a breakpoint", ["gdb", "-q", "-nx", "-batch", "-ex", "break main", "-ex", "run",
                                        "-ex", "continue", hello], False),
        ("script", [p("script.sh")], False),
        ("compiler and what it starts", ["sh", "-c", f"echo 'int main(void) {{ return 7; }}' | gcc -x c - -o "
                                         f"{public}/made && {public}/made"], False),
        ("JIT", ["node", "-e", "let n = 0; for (let i = 0; i < 1e6; ++i) n += i % 7; console.log(n)"], False),
        ("digest of itself", ["openssl", "dgst", "-sha256", "/usr/bin/openssl"], False),
        ("git", ["git", "-C", "/", "hash-object", "/etc/hostname"], False),
        ("broken pipe", ["sh", "-c", "yes | head -n 2; kill -ABRT $$"], False),
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


def count_hits(stream, hits):
    """Adds up the breakpoints that each program ran into, until the last program's last startup."""
    last = 0
    for message in stream:
        if not message.HasField("startup_finished"):
            continue
        startup = message.startup_finished
        name = os.path.basename(startup.process.executable)
        hits[name] = hits.get(name, 0) + startup.observer.probe_hits
        last += startup.process.comm == "perl"
        if last == TIMES:
            return


class Harmless(unittest.TestCase):
    def test_programs_behave_the_same_with_and_without_a_watch(self):
        public = harness.public_binaries()
        self.addCleanup(shutil.rmtree, public)
        cases = programs(public)
        self.assertGreaterEqual(len({name for name, _, _ in cases}), 40)
        alone = [behaviour(command, ordinary) for _, command, ordinary in cases]
        # Whoever looks at its own text sees breakpoints in it: that is what the list is for.
        with harness.Daemon("--never-probe", harness.program("self_checksum")) as daemon, \
                Rpc(daemon) as client:
            stream = client.stub.WatchStartups(startup_service_pb2.WatchStartupsRequest(
                precision="PRECISION_EXACT", level="LEVEL_PAGES", syscalls=True, loader_events=True,
                samples=True), timeout=600)
            self.assertTrue(next(stream).HasField("armed"))
            # Read all the while: at this level the startups are more than may wait for one who does not read.
            hits = {}
            reader = threading.Thread(target=count_hits, args=(stream, hits))
            reader.start()
            for _ in range(TIMES):
                for (name, command, ordinary), expected in zip(cases, alone):
                    with self.subTest(program=name):
                        self.assertEqual(behaviour(command, ordinary), expected)
            # They were really watched, and with breakpoints.
            reader.join()
            stream.cancel()
            for name in ("hello_glibc_dynamic", "hello_musl_dynamic", "hello_go", "hello_rust", "signal_stack"):
                self.assertGreater(hits.get(name, 0), 0, name)


if __name__ == "__main__":
    unittest.main()
