# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Clients that are many, slow, dead or rude: each limit holds, is told, and harms nobody else.

STARTSCOPE_LONG=1 runs the long form (10,000 connections instead of 1,000, a minute of a storm instead of 3 s)."""

import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import grpc

import harness
import rpc
from rpc import Rpc, startup_service_pb2, startup_service_pb2_grpc

LONG = bool(os.environ.get("STARTSCOPE_LONG"))
CYCLES = 10000 if LONG else 1000
SUBSCRIBERS = 200
STORM_S = 60 if LONG else 3
WRITE_TIMEOUT_S = "30" if LONG else "5"
MIB = 1 << 20
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


def resident_bytes(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def connect(daemon):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(daemon.socket)
    connection.settimeout(harness.WAIT_S)
    return connection


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + \
        payload


def literal(name, value):
    """An HPACK literal header field without indexing."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def watch_that_never_reads(daemon, executable, level="LEVEL_PHASES"):
    """A hand-made HTTP/2 client that opens a watch and gives no window for what comes."""
    connection = connect(daemon)
    no_window = struct.pack(">HI", 4, 0)  # SETTINGS_INITIAL_WINDOW_SIZE
    headers = b"".join(literal(n, v) for n, v in (
        (b":method", b"POST"), (b":scheme", b"http"),
        (b":path", b"/startscope.v1.StartupService/WatchStartups"), (b":authority", b"x"),
        (b"content-type", b"application/grpc"), (b"te", b"trailers")))
    request = startup_service_pb2.WatchStartupsRequest(level=level)
    request.allow.add().executable.append(executable)
    body = request.SerializeToString()
    connection.sendall(PREFACE[:24] + frame(4, 0, 0, no_window) + frame(1, 4, 1, headers) +
                       frame(0, 1, 1, b"\0" + struct.pack(">I", len(body)) + body))
    return connection


class Limits(unittest.TestCase):
    def status(self, daemon):
        with Rpc(daemon) as client:
            return client.stub.GetStatus(startup_service_pb2.GetStatusRequest())

    def test_connections_come_and_go_and_leave_nothing(self):
        with harness.Daemon() as daemon:
            pid = daemon.process.pid
            for _ in range(3):
                self.status(daemon)
            counts = lambda: (descriptors(pid), threads(pid))
            before = counts()
            for i in range(CYCLES):
                connection = connect(daemon)
                # Some leave at once, some in the midst of the preface, some after it.
                connection.sendall((b"", PREFACE[:10], PREFACE)[i % 3])
                connection.close()
            for _ in range(20):
                watch = harness.Watch(daemon)
                watch.process.kill()
                watch.process.wait()
            harness.wait_for(lambda: not harness.attached_programs(), "all probes to be detached")
            self.status(daemon)
            # gRPC keeps a few idle threads of its own.
            harness.wait_for(lambda: counts()[0] <= before[0] + 3 and counts()[1] <= before[1] + 8,
                             f"descriptors and threads to be as before: {before}")
            self.assertEqual(self.status(daemon).subscribers, 0)

    def test_connections_are_limited_and_the_refused_are_told(self):
        with harness.Daemon("--max-connections", "5") as daemon:
            open_ones = []
            for _ in range(5):
                connection = connect(daemon)
                connection.sendall(PREFACE)
                connection.recv(9)
                open_ones.append(connection)
            refused = connect(daemon)
            answer = b""
            while part := refused.recv(4096):
                answer += part
            self.assertIn(b"--max-connections", answer)
            open_ones.pop().close()
            harness.wait_for(lambda: self.can_ask(daemon), "a place to be free again")
            for connection in open_ones:
                connection.close()

    def can_ask(self, daemon):
        try:
            self.status(daemon)
            return True
        except grpc.RpcError:
            return False

    def test_one_user_cannot_take_the_places_of_others(self):
        with harness.Daemon("--max-connections-per-user", "3", "--max-watches-per-user", "2") as daemon:
            os.chmod(daemon.directory, 0o755)
            os.chmod(daemon.socket, 0o666)
            script = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
kept, refused = [], 0
for _ in range(6):
    one = socket.socket(socket.AF_UNIX); one.connect(sys.argv[1])
    try: one.sendall(bytes.fromhex(sys.argv[2]))
    except OSError: pass
    try: first = one.recv(4096)
    except OSError: first = b""
    if b"per-user" in first: refused += 1
    kept.append(one)
print(refused, flush=True)
sys.stdin.read()
"""
            user = subprocess.Popen([sys.executable, "-c", script, daemon.socket, PREFACE.hex()],
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.assertEqual(user.stdout.readline().strip(), "3")
            self.status(daemon)  # root still has its own
            user.communicate()

    def test_who_says_nothing_or_nonsense_is_dropped(self):
        with harness.Daemon("--handshake-timeout", "0.5") as daemon:
            silent, partial, rude = connect(daemon), connect(daemon), connect(daemon)
            partial.sendall(PREFACE[:7])
            rude.sendall(b"GET / HTTP/1.1\r\n\r\n")
            begin = time.monotonic()
            for connection in (rude, silent, partial):
                try:
                    self.assertEqual(connection.recv(100), b"")
                except ConnectionResetError:
                    pass
            self.assertLess(time.monotonic() - begin, harness.WAIT_S)
            self.status(daemon)

    def test_idle_connections_are_closed(self):
        with harness.Daemon("--idle-timeout", "0.5") as daemon:
            connection = connect(daemon)
            connection.sendall(PREFACE)
            while connection.recv(4096):
                pass  # until the end

    def test_requests_and_watches_are_limited(self):
        with harness.Daemon("--max-watches", "2", "--max-message-bytes", "1000") as daemon, \
                Rpc(daemon) as client:
            streams = []
            for _ in range(2):
                stream = client.stub.WatchStartups(startup_service_pb2.WatchStartupsRequest())
                self.assertTrue(next(stream).HasField("armed"))
                streams.append(stream)
            with self.assertRaises(grpc.RpcError) as refused:
                next(client.stub.WatchStartups(startup_service_pb2.WatchStartupsRequest()))
            self.assertEqual(refused.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
            self.assertIn("--max-watches", refused.exception.details())
            with self.assertRaises(grpc.RpcError) as refused:
                client.stub.GetStartup(startup_service_pb2.GetStartupRequest(startup_id="x" * 2000))
            self.assertEqual(refused.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
            for stream in streams:
                stream.cancel()

    def test_a_reader_that_takes_nothing_is_told_and_cut(self):
        executable = harness.program("hello_musl_static")
        with harness.Daemon("--write-timeout", "1") as daemon:
            connection = watch_that_never_reads(daemon, executable)
            harness.wait_for(lambda: self.status(daemon).watches_cut == 1, "the watch to be cut")
            harness.wait_for(lambda: self.status(daemon).subscribers == 0, "its place to be free")
            harness.wait_for(lambda: not harness.attached_programs(), "its probes to be detached")
            # What is told passes by any window: it is in the trailers.
            received = b""
            while b"--write-timeout" not in received:
                part = connection.recv(4096)
                self.assertTrue(part, received)
                received += part
            connection.close()

    def test_who_does_not_read_loses_where_all_queues_are_too_large(self):
        executable = harness.program("hello_musl_static")
        with harness.Daemon("--queue-bytes", str(MIB)) as daemon, Rpc(daemon) as client:
            connection = watch_that_never_reads(daemon, executable)
            request = startup_service_pb2.WatchStartupsRequest()
            request.allow.add().executable.append(executable)
            stream = client.stub.WatchStartups(request)
            self.assertTrue(next(stream).HasField("armed"))
            harness.wait_for(lambda: self.status(daemon).subscribers == 2, "both to watch")

            def dropped():
                return next(loss.lost for loss in self.status(daemon).losses
                            if loss.knob == "--queue-bytes" and loss.name.startswith("startups"))

            for _ in range(100):  # far more than one MiB
                subprocess.run([harness.program("fork_storm"), "50", executable], check=True,
                               stdout=subprocess.DEVNULL)
                for _ in range(50):
                    while not (message := next(stream)).HasField("startup_finished"):
                        self.assertFalse(message.HasField("records_lost"), message)
                if dropped():
                    break
            self.assertGreater(dropped(), 0)
            stream.cancel()
            connection.close()

    def test_what_waits_for_those_that_never_read_is_bounded_at_each_level(self):
        executable = harness.program("hello_glibc_dynamic")
        for level in ("LEVEL_OBJECTS", "LEVEL_PAGES"):
            with self.subTest(level), \
                    harness.Daemon("--write-timeout", "300", "--cgroup-rate", "0") as daemon, Rpc(daemon) as client:
                before = resident_bytes(daemon.process.pid)
                dead = [watch_that_never_reads(daemon, executable, level) for _ in range(SUBSCRIBERS // 2)]
                request = startup_service_pb2.WatchStartupsRequest(level=level)
                request.allow.add().executable.append(executable)
                stream = client.stub.WatchStartups(request)
                self.assertTrue(next(stream).HasField("armed"))
                harness.wait_for(lambda: self.status(daemon).subscribers == len(dead) + 1, "all to watch")
                told = {"finished": 0, "lost": 0}

                def read():
                    try:
                        for message in stream:
                            told["finished"] += message.HasField("startup_finished")
                            told["lost"] += message.records_lost.count
                    except grpc.RpcError:
                        pass

                reader = threading.Thread(target=read)
                reader.start()
                end = time.monotonic() + STORM_S
                started = most = 0
                while time.monotonic() < end:
                    subprocess.run([harness.program("fork_storm"), "50", executable], check=True,
                                   stdout=subprocess.DEVNULL)
                    started += 50
                    most = max(most, resident_bytes(daemon.process.pid))
                harness.wait_for(lambda: sum(told.values()) == started, "each startup to be told, or its loss")
                print(f"{level}: {started} starts, {(most - before) >> 20} MiB more, {told['lost']} lost", end=" ")
                self.assertLessEqual(most - before, 64 * MIB)
                stream.cancel()
                reader.join()
                for connection in dead:
                    connection.close()

    def test_half_of_two_hundred_never_read_and_the_others_lose_nothing(self):
        """Programs start as fast as two shells can start them. Whoever reads, reads what one of them does;
        whoever never does asked for all."""
        directory = tempfile.mkdtemp(prefix="startscope-half-", dir="/var/tmp")
        self.addCleanup(shutil.rmtree, directory)
        # Startups of few objects and of more.
        kinds = [harness.program(name) for name in ("hello_musl_static", "hello_glibc_dynamic")]
        programs = [shutil.copy(kinds[i // 2 % 2], f"{directory}/program{i}")
                    for i in range(SUBSCRIBERS // 2)]
        started, seen, lost = ([0] * len(programs) for _ in range(3))
        with harness.Daemon("--write-timeout", WRITE_TIMEOUT_S, "--cgroup-rate", "0") as daemon:
            before = resident_bytes(daemon.process.pid)
            dead = [watch_that_never_reads(daemon, directory + "/*") for _ in range(SUBSCRIBERS // 2)]
            channels, streams = [], []

            def read(index, stream):
                try:
                    for message in stream:
                        seen[index] += message.HasField("startup_finished")
                        if message.HasField("records_lost"):
                            lost[index] += message.records_lost.count
                except grpc.RpcError:
                    pass

            for index, program in enumerate(programs):
                if index % 20 == 0:
                    channels.append(grpc.insecure_channel(
                        daemon.address, options=[("grpc.use_local_subchannel_pool", 1)]))
                request = startup_service_pb2.WatchStartupsRequest()
                request.allow.add().executable.append(program)
                stream = startup_service_pb2_grpc.StartupServiceStub(channels[-1]).WatchStartups(request)
                self.assertTrue(next(stream).HasField("armed"))
                streams.append(stream)
                threading.Thread(target=read, args=(index, stream), daemon=True).start()
            end = time.monotonic() + STORM_S
            most = []

            def storm(first):
                while time.monotonic() < end:
                    for index in range(first, len(programs), 2):
                        subprocess.run([harness.program("fork_storm"), "10", programs[index]], check=True,
                                       stdout=subprocess.DEVNULL)
                        started[index] += 10
                    most.append(resident_bytes(daemon.process.pid))

            shells = [threading.Thread(target=storm, args=(first,)) for first in range(2)]
            for shell in shells:
                shell.start()
            for shell in shells:
                shell.join()
            harness.wait_for(lambda: seen == started or any(lost), "every reader to have its startups", 60)
            grown = max(most) - before
            print(f"{sum(started)} starts in {STORM_S} s, {grown >> 20} MiB more", end=" ")
            self.assertEqual(lost, [0] * len(programs))
            self.assertEqual(seen, started)
            self.assertLessEqual(grown, 64 * MIB)
            harness.wait_for(lambda: self.status(daemon).watches_cut == len(dead), "the dead to be cut")
            for stream in streams:
                stream.cancel()
            for channel in channels:
                channel.close()
            for connection in dead:
                connection.close()
            harness.wait_for(lambda: self.status(daemon).subscribers == 0, "all to be gone")


if __name__ == "__main__":
    unittest.main()
