# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""A file system of one's own over /dev/fuse, which answers some and never answers others.

As a program, fuse.py MOUNTPOINT FILE [OPERATION,…] NAME,…: mounts a directory that holds FILE under its own
name, says "mounted", and serves it until its standard input ends. The operations are answered only to
processes of these names (as /proc/PID/comm has them); to others never. Speaks the kernel's own protocol
(include/uapi/linux/fuse.h)."""

import contextlib
import ctypes
import errno
import os
import pathlib
import select
import signal
import stat
import struct
import subprocess
import sys
import tempfile

LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS, RELEASE, FLUSH, INIT, ACCESS, INTERRUPT, BATCH_FORGET = (
    1, 2, 3, 14, 15, 17, 18, 25, 26, 34, 36, 42)
OPERATIONS = {"LOOKUP": LOOKUP, "GETATTR": GETATTR, "OPEN": OPEN, "READ": READ, "STATFS": STATFS,
              "FLUSH": FLUSH}
UNANSWERED = (FORGET, BATCH_FORGET, INTERRUPT)
ROOT, FILE = 1, 2
HEADER = struct.Struct("<IIQQIIII")
BUFFER_BYTES = 1 << 20
MNT_DETACH = 2
# Nobody waits for it longer, whatever becomes of the test.
LONGEST_S = 120

libc = ctypes.CDLL(None, use_errno=True)


class Server:
    def __init__(self, mountpoint, path, silent, friends):
        self.content = pathlib.Path(path).read_bytes()
        self.name = os.path.basename(path).encode()
        self.silent = silent
        self.friends = friends
        self.device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self.device},rootmode={stat.S_IFDIR:o},user_id=0,group_id=0,allow_other"
        if libc.mount(b"fuse", mountpoint.encode(), b"fuse", 0, options.encode()) != 0:
            raise OSError(ctypes.get_errno(), "mount of " + mountpoint)

    def serve(self):
        while True:
            readable, _, _ = select.select([self.device, sys.stdin], [], [])
            if sys.stdin in readable:
                return
            request = os.read(self.device, BUFFER_BYTES)
            _, operation, unique, node, _, _, thread, _ = HEADER.unpack_from(request)
            if operation in UNANSWERED or (operation in self.silent and not self.is_friend(thread)):
                continue
            error, payload = self.answer(operation, node, request[HEADER.size:])
            with contextlib.suppress(FileNotFoundError):  # who asked was killed meanwhile
                os.write(self.device, struct.pack("<IiQ", 16 + len(payload), -error, unique) + payload)

    def is_friend(self, thread):
        try:
            return pathlib.Path(f"/proc/{thread}/comm").read_text().strip() in self.friends
        except OSError:
            return True  # the kernel itself, or one that is gone

    def answer(self, operation, node, body):
        if operation == INIT:
            major, minor = struct.unpack_from("<II", body)
            return 0, struct.pack("<IIIIHHII28x", major, min(minor, 31), 0, 0, 8, 8, 4096, 1) + bytes(8)
        if operation == LOOKUP:
            if body.rstrip(b"\0") != self.name:
                return errno.ENOENT, b""
            return 0, struct.pack("<QQQQII", FILE, 0, 3600, 3600, 0, 0) + self.attributes(FILE)
        if operation == GETATTR:
            return 0, struct.pack("<QII", 3600, 0, 0) + self.attributes(node)
        if operation == OPEN:
            return 0, struct.pack("<QII", 0, 0, 0)
        if operation == READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return 0, self.content[offset:offset + size]
        if operation == STATFS:
            return 0, struct.pack("<QQQQQIIII24x", 1, 0, 0, 2, 0, 4096, 255, 4096, 0)
        if operation in (FLUSH, RELEASE, ACCESS):
            return 0, b""
        return errno.ENOSYS, b""

    def attributes(self, node):
        mode, size = (stat.S_IFDIR | 0o755, 0) if node == ROOT else (
            stat.S_IFREG | 0o755, len(self.content))
        return struct.pack("<6Q3I7I", node, size, (size + 511) // 512, 1, 1, 1, 0, 0, 0, mode, 1, 0, 0, 0,
                           4096, 0)


@contextlib.contextmanager
def mounted(path, silent=(), friends=()):
    """The path of the file in such a file system: `silent` operations are answered to `friends` alone."""
    with tempfile.TemporaryDirectory(prefix="startscope-fuse-", dir="/var/tmp") as mountpoint:
        server = subprocess.Popen(
            [sys.executable, __file__, mountpoint, path, ",".join(silent), ",".join(friends)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            if server.stdout.readline() != "mounted\n":
                raise AssertionError("no FUSE file system")
            yield os.path.join(mountpoint, os.path.basename(path))
        finally:
            # Whoever waits for an answer has one now: the device is closed.
            server.communicate(timeout=30)
            libc.umount2(mountpoint.encode(), MNT_DETACH)


def main():
    mountpoint, path, silent, friends = sys.argv[1:]
    signal.alarm(LONGEST_S)
    server = Server(mountpoint, path, [OPERATIONS[one] for one in silent.split(",") if one],
                    friends.split(","))
    print("mounted", flush=True)
    server.serve()


if __name__ == "__main__":
    main()
