# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""A gRPC client in Python, made from the .proto files alone: watches what a command of this process
executes, with the kernel's own account of the command beside it."""

import atexit
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading

import harness

_stubs = tempfile.mkdtemp(prefix="startscope-stubs-")
atexit.register(shutil.rmtree, _stubs, True)
subprocess.run(["protoc", "-I", str(harness.SOURCE / "proto"), "--python_out=" + _stubs,
                "--grpc_out=" + _stubs, "--plugin=protoc-gen-grpc=/usr/bin/grpc_python_plugin",
                "startscope/v1/startup.proto", "startscope/v1/startup_service.proto"], check=True)
sys.path.insert(0, _stubs)

import grpc  # noqa: E402
from google.protobuf import json_format  # noqa: E402
from startscope.v1 import startup_service_pb2, startup_service_pb2_grpc  # noqa: E402


def as_dict(message):
    """As `--format json` prints it: 64-bit numbers are strings, what was not measured is absent."""
    return json_format.MessageToDict(message, preserving_proto_field_name=True,
                                     including_default_value_fields=True)


class Traced:
    """What a watch delivered, in order, and how the command ended."""

    def __init__(self):
        self.startups = []
        self.loader_events = []
        self.chunks = []
        self.losses = []
        self.stuck = []
        self.armed = None
        self.events = []
        self.status = None
        self.usage = None
        self.output = ""

    def startup(self, name):
        """The startup of the executable with this base name."""
        found = [s for s in self.startups
                 if pathlib.Path(s["process"]["executable"]).name == name]
        if len(found) != 1:
            raise AssertionError(f"{len(found)} startups of {name}: {self.events}")
        return found[0]


class Rpc:
    def __init__(self, daemon):
        self.channel = grpc.insecure_channel(
            daemon.address, options=[("grpc.max_receive_message_length", -1)])
        self.stub = startup_service_pb2_grpc.StartupServiceStub(self.channel)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.channel.close()

    def watch(self, start, *, startups=1, linger_s=0, patience_s=60, while_alive=None,
              on_stuck=None, stuck_after_ms=None, **request):
        """Arms a watch of this process's descendants, calls start(), which returns a Popen, and takes
        what comes until the command has ended and `startups` were delivered. while_alive(popen, traced)
        is called when they were, and may end the command; on_stuck(popen, traced) at each startup_stuck."""
        request.setdefault("until", "UNTIL_EXIT")
        request.setdefault("level", "LEVEL_OBJECTS")
        request.setdefault("precision", "PRECISION_EXACT")
        deadline_s = request.pop("deadline_s", None)
        message = startup_service_pb2.WatchStartupsRequest(descendants_of_caller=True, **request)
        if deadline_s:
            message.deadline.FromMilliseconds(int(deadline_s * 1000))
        if stuck_after_ms:
            message.stuck_after.FromMilliseconds(stuck_after_ms)
        stream = self.stub.WatchStartups(message, timeout=patience_s * harness.WAIT_FACTOR)
        traced = Traced()
        ended = threading.Event()

        def reap(process):
            if process.stdout:
                traced.output = process.stdout.read()
            _, traced.status, traced.usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(traced.status)
            ended.set()
            if len(traced.startups) >= startups:
                finish()

        def finish():
            threading.Timer(linger_s, stream.cancel).start()

        try:
            for response in stream:
                kind = response.WhichOneof("event")
                traced.events.append(kind)
                if kind == "armed":
                    traced.armed = as_dict(response.armed)
                    process = start()
                    threading.Thread(target=reap, args=(process,), daemon=True).start()
                elif kind == "startup_finished":
                    traced.startups.append(as_dict(response.startup_finished))
                    if len(traced.startups) == startups:
                        if while_alive:
                            while_alive(process, traced)
                        if ended.is_set():
                            finish()
                elif kind == "loader_event":
                    traced.loader_events.append(as_dict(response.loader_event))
                elif kind == "timeline_chunk":
                    traced.chunks.append(as_dict(response.timeline_chunk))
                elif kind == "startup_stuck":
                    traced.stuck.append(as_dict(response.startup_stuck))
                    if on_stuck:
                        on_stuck(process, traced)
                elif kind == "records_lost":
                    traced.losses.append(as_dict(response.records_lost))
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.CANCELLED:
                raise AssertionError(f"{error.code()}: {error.details()}; had {traced.events}")
        return traced

    def run(self, command, **options):
        """watch() of one command, its executable prepared, its output kept."""
        prepare = options.pop("prepare", [shutil.which(command[0])])
        before = options.pop("before", lambda: None)
        popen = options.pop("popen", {})

        def start():
            before()
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, text=True, errors="replace", **popen)

        return self.watch(start, prepare_executables=prepare, **options)
