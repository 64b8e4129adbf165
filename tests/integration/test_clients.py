# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Third-party gRPC clients, in Python and Node, receive the same startups as the command line."""

import os
import shutil
import subprocess
import tempfile
import unittest

import harness

PYTHON_CLIENT = """
import sys
sys.path.insert(0, sys.argv[2])
import grpc
from google.protobuf.json_format import MessageToJson
from startscope.v1 import startup_service_pb2, startup_service_pb2_grpc

stub = startup_service_pb2_grpc.StartupServiceStub(grpc.insecure_channel(sys.argv[1]))
request = startup_service_pb2.WatchStartupsRequest(level="LEVEL_OBJECTS", until="UNTIL_EXIT")
request.allow.add().executable.append(sys.argv[3])
seen = 0
sequence = 0
for message in stub.WatchStartups(request):
    sequence += 1
    assert message.sequence == sequence, "the sequence has a gap"
    if message.HasField("armed"):
        assert sequence == 1, "armed must come first"
        print("armed", flush=True)
    if message.HasField("startup_finished"):
        startup = message.startup_finished
        print(startup.startup_id, startup.total_ns, startup.faults.minor, flush=True)
        seen += 1
        if seen == int(sys.argv[4]):
            break
"""

NODE_CLIENT = """
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const [address, protos, executable, count] = process.argv.slice(2);
const definition = loader.loadSync('startscope/v1/startup_service.proto', {
  includeDirs: [protos], keepCase: true, longs: String, enums: String, defaults: true, oneofs: true});
const {StartupService} = grpc.loadPackageDefinition(definition).startscope.v1;
const client = new StartupService(address, grpc.credentials.createInsecure());
let seen = 0;
const call = client.WatchStartups(
    {level: 'LEVEL_OBJECTS', until: 'UNTIL_EXIT', allow: [{executable: [executable]}]});
call.on('data', (message) => {
  if (message.armed) console.log('armed');
  if (message.startup_finished) {
    const startup = message.startup_finished;
    console.log(startup.startup_id, startup.total_ns, startup.faults.minor);
    if (++seen === Number(count)) { call.cancel(); client.close(); }
  }
});
call.on('error', (error) => { if (error.code !== grpc.status.CANCELLED) throw error; });
"""

COUNT = 5


class Clients(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="startscope-clients-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.protos = str(harness.SOURCE / "proto")

    def start(self, command):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=self.directory)
        self.assertEqual(process.stdout.readline().strip(), "armed")
        return process

    def python_client(self, daemon, executable):
        subprocess.run(["protoc", "-I", self.protos, "--python_out=" + self.directory,
                        "--grpc_out=" + self.directory,
                        "--plugin=protoc-gen-grpc=/usr/bin/grpc_python_plugin",
                        "startscope/v1/startup.proto", "startscope/v1/startup_service.proto"],
                       check=True)
        return self.start(["/usr/bin/python3", "-c", PYTHON_CLIENT, daemon.address, self.directory,
                           executable, str(COUNT)])

    def node_client(self, daemon, executable):
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent",
                        "@grpc/grpc-js@1", "@grpc/proto-loader@0.7"],
                       cwd=self.directory, check=True, timeout=300)
        script = os.path.join(self.directory, "client.js")
        with open(script, "w") as file:
            file.write(NODE_CLIENT)
        return self.start(["node", script, daemon.address, self.protos, executable, str(COUNT)])

    def test_python_node_and_the_command_line_see_the_same(self):
        executable = harness.program("hello_musl_static")
        with harness.Daemon() as daemon:
            clients = [self.python_client(daemon, executable), self.node_client(daemon, executable)]
            watch = harness.Watch(daemon, "--exe", executable, "--until", "exit", "--level",
                                  "objects", "--limit", str(COUNT))
            watch.wait_armed()
            for _ in range(COUNT):
                subprocess.run([executable], check=True, stdout=subprocess.DEVNULL)
            startups, errors = watch.finish(patience_s=20)
            expected = [f"{s['startup_id']} {s['total_ns']} {s['faults']['minor']}" for s in startups]
            self.assertEqual(len(expected), COUNT, errors)
            for client in clients:
                out, _ = client.communicate(timeout=harness.WAIT_S)
                self.assertEqual(out.split("\n")[:-1], expected)

    def test_health_and_reflection(self):
        checker = """
import sys
import grpc
channel = grpc.insecure_channel(sys.argv[1])
# grpc.health.v1.Health/Check of the whole server; SERVING is enum value 1.
check = channel.unary_unary("/grpc.health.v1.Health/Check")
assert check(b"") == b"\\x08\\x01", "not serving"
# grpc.reflection.v1alpha: list_services is field 7 of the request.
reflect = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
answer = b"".join(reflect(iter([b"\\x3a\\x00"])))
for service in (b"startscope.v1.StartupService", b"grpc.health.v1.Health"):
    assert service in answer, service
"""
        with harness.Daemon() as daemon:
            subprocess.run(["/usr/bin/python3", "-c", checker, daemon.address], check=True)


if __name__ == "__main__":
    unittest.main()
