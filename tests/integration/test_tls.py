# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""TCP exists only with mutual TLS, and a certificate gives exactly what the command line says."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import unittest

import grpc

import harness
import rpc  # noqa: F401  (makes the stubs)
from rpc import startup_service_pb2, startup_service_pb2_grpc

ADMIN = "spiffe://example.org/startscope/reader"


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="startscope-tls-")
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        for authority in ("ca", "other_ca"):
            cls.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", f"/CN={authority}", "-keyout", cls.path(authority + ".key"),
                        "-out", cls.path(authority + ".pem"))
        cls.certificate("server", "ca", "DNS:localhost,IP:127.0.0.1")
        cls.certificate("admin", "ca", "URI:" + ADMIN)
        cls.certificate("stranger", "ca", "DNS:stranger.example.org")
        cls.certificate("common", "ca", None)
        cls.certificate("foreign", "other_ca", "URI:" + ADMIN)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.directory, name)

    @classmethod
    def openssl(cls, *arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    @classmethod
    def certificate(cls, name, authority, alternative):
        cls.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                    f"/CN={name}", "-keyout", cls.path(name + ".key"), "-out", cls.path(name + ".csr"))
        extensions = cls.path(name + ".ext")
        with open(extensions, "w") as file:
            file.write(f"subjectAltName={alternative}\n" if alternative else "basicConstraints=CA:FALSE\n")
        cls.openssl("x509", "-req", "-in", cls.path(name + ".csr"), "-CA", cls.path(authority + ".pem"),
                    "-CAkey", cls.path(authority + ".key"), "-CAcreateserial", "-days", "2",
                    "-extfile", extensions, "-out", cls.path(name + ".pem"))
        os.chmod(cls.path(name + ".key"), 0o600)

    def daemon(self, *options):
        return harness.Daemon("--listen", "tcp://127.0.0.1:0", "--tls-cert", self.path("server.pem"),
                              "--tls-key", self.path("server.key"), "--tls-client-ca",
                              self.path("ca.pem"), *options)

    def port(self, daemon):
        return re.search(r"listening on tcp://127.0.0.1:(\d+)", daemon.log()).group(1)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def ask(self, daemon, name):
        """GetStatus with this client certificate (None: without one): what the answer or error is."""
        if name:
            credentials = grpc.ssl_channel_credentials(self.read("ca.pem"), self.read(name + ".key"),
                                                       self.read(name + ".pem"))
        else:
            credentials = grpc.ssl_channel_credentials(self.read("ca.pem"))
        with grpc.secure_channel("localhost:" + self.port(daemon), credentials) as channel:
            stub = startup_service_pb2_grpc.StartupServiceStub(channel)
            try:
                return stub.GetStatus(startup_service_pb2.GetStatusRequest(), timeout=20)
            except grpc.RpcError as error:
                return error.code(), error.details()

    def test_a_named_certificate_reads_everything_others_nothing(self):
        with self.daemon("--tls-admin-name", ADMIN, "--tls-admin-name", "common") as daemon:
            self.assertTrue(self.ask(daemon, "admin").version)
            self.assertTrue(self.ask(daemon, "common").version)
            code, details = self.ask(daemon, "stranger")
            self.assertEqual(code, grpc.StatusCode.PERMISSION_DENIED)
            self.assertIn("stranger.example.org", details)
            for unknown in ("foreign", None):
                self.assertEqual(self.ask(daemon, unknown)[0], grpc.StatusCode.UNAVAILABLE)

    def test_by_default_no_certificate_gives_access(self):
        with self.daemon() as daemon:
            self.assertEqual(self.ask(daemon, "admin")[0], grpc.StatusCode.PERMISSION_DENIED)

    def test_a_watch_over_tls_and_what_only_local_callers_may_ask(self):
        executable = harness.program("hello_musl_static")
        with self.daemon("--tls-admin-name", ADMIN) as daemon:
            credentials = grpc.ssl_channel_credentials(self.read("ca.pem"), self.read("admin.key"),
                                                       self.read("admin.pem"))
            with grpc.secure_channel("localhost:" + self.port(daemon), credentials) as channel:
                stub = startup_service_pb2_grpc.StartupServiceStub(channel)
                with self.assertRaises(grpc.RpcError) as refused:
                    next(stub.WatchStartups(startup_service_pb2.WatchStartupsRequest(
                        prepare_executables=["/etc/shadow"])))
                self.assertEqual(refused.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
                request = startup_service_pb2.WatchStartupsRequest()
                request.allow.add().executable.append(executable)
                stream = stub.WatchStartups(request)
                self.assertTrue(next(stream).HasField("armed"))
                subprocess.run([executable], check=True, stdout=subprocess.DEVNULL)
                for message in stream:
                    if message.HasField("startup_finished"):
                        break
                self.assertEqual(message.startup_finished.process.executable, executable)
                stream.cancel()

    def test_connections_are_limited_and_silent_ones_dropped(self):
        with self.daemon("--tls-admin-name", ADMIN, "--max-tls-connections", "3",
                         "--handshake-timeout", "1") as daemon:
            address = ("127.0.0.1", int(self.port(daemon)))
            silent = [socket.create_connection(address) for _ in range(5)]
            for connection in silent:
                connection.settimeout(harness.WAIT_S)
                try:
                    while connection.recv(4096):
                        pass  # until it is closed: two at once, three after their time
                except ConnectionResetError:
                    pass
                connection.close()
            self.assertTrue(self.ask(daemon, "admin").version)

    def test_without_mutual_tls_there_is_no_tcp(self):
        cases = (
            (["--listen", "tcp://127.0.0.1:0"], "--tls-cert"),
            (["--listen", "tcp://127.0.0.1:0", "--tls-cert", self.path("server.pem"), "--tls-key",
              self.path("server.key")], "--tls-client-ca"),
            (["--listen", "tcp://localhost:0", "--tls-cert", self.path("server.pem"), "--tls-key",
              self.path("server.key"), "--tls-client-ca", self.path("ca.pem")], "numeric"),
            (["--listen", "tcp://127.0.0.1:0", "--tls-cert", self.path("server.pem"), "--tls-key",
              "/dev/null", "--tls-client-ca", self.path("ca.pem")], "not a regular file"),
            (["--listen", "http://127.0.0.1:0"], "unix:///path or tcp://"),
        )
        for options, expected in cases:
            with self.subTest(options=options):
                done = subprocess.run([harness.DAEMON, *options], capture_output=True, text=True,
                                      timeout=harness.WAIT_S)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(expected, done.stderr)
        os.chmod(self.path("server.key"), 0o644)
        self.addCleanup(os.chmod, self.path("server.key"), 0o600)
        done = subprocess.run(
            [harness.DAEMON, "--listen", "tcp://127.0.0.1:0", "--tls-cert", self.path("server.pem"),
             "--tls-key", self.path("server.key"), "--tls-client-ca", self.path("ca.pem")],
            capture_output=True, text=True, timeout=harness.WAIT_S)
        self.assertEqual(done.returncode, 2)
        self.assertIn("chmod", done.stderr)


if __name__ == "__main__":
    unittest.main()
