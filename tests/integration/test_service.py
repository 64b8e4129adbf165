# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""The systemd unit as a real systemd runs it: the first process of namespaces of its own, on a copy of this machine's
root in which startscope is installed."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import harness

SERVICE = "startscoped.service"
# Run in the new namespaces; becomes systemd.
BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1/rw"
mkdir "$1/rw/upper" "$1/rw/work"
root=$1/merged
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/rw/upper,workdir=$1/rw/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
for directory in run tmp; do mount -t tmpfs tmpfs "$root/$directory"; done
mount --rbind /dev "$root/dev"
DESTDIR=$root cmake --install "$2" --prefix /usr
: >"$root/etc/machine-id"
chroot "$root" systemd-sysusers
for unit in systemd-udevd systemd-networkd systemd-resolved systemd-timesyncd systemd-logind dbus ssh cron; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit.service"
done
export container=startscope-test
exec chroot "$root" /lib/systemd/systemd --unit=startscoped.service
"""


class Service(unittest.TestCase):
    def setUp(self):
        directory = tempfile.mkdtemp(prefix="startscope-service-", dir="/var/tmp")
        self.addCleanup(shutil.rmtree, directory, True)
        for name in ("rw", "merged"):
            os.mkdir(os.path.join(directory, name))
        self.log = open(os.path.join(directory, "log"), "w+")
        self.addCleanup(self.log.close)
        starter = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--uts", "--ipc", "--cgroup", "sh", "-c",
             BOOT, "boot", directory, str(harness.BUILD)],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.addCleanup(starter.wait)
        self.addCleanup(starter.kill)
        children = pathlib.Path(f"/proc/{starter.pid}/task/{starter.pid}/children")
        self.systemd = harness.wait_for(lambda: children.read_text().strip(), "the first process")
        harness.wait_for(lambda: self.show("ActiveState") in ("active", "failed"), "the service to be there",
                         timeout_s=120)

    def inside(self, *command, **options):
        return subprocess.run(["nsenter", "-t", self.systemd, "-m", "-p", "-C", "-u", "-i", "-r", "-w", *command],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)

    def show(self, field):
        return self.inside("systemctl", "show", SERVICE, "--value", "-p", field).stdout.strip()

    def traced(self):
        """A startup that the service tells of. The kernel's process ids are not those of this namespace: the
        program is known by its name alone."""
        client = subprocess.Popen(
            ["nsenter", "-t", self.systemd, "-m", "-p", "-C", "-u", "-i", "-r", "-w", "startscope", "watch", "--format",
             "json", "--exe", "/usr/bin/sha1sum", "--until", "exit", "--limit", "1"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while client.poll() is None:
            self.inside("sha1sum", "/etc/hostname")
        out, errors = client.communicate()
        self.assertEqual(client.returncode, 0, errors)
        startup = json.loads(out)
        harness.check_startup(self, startup)
        return startup

    def test_it_starts_traces_and_comes_back(self):
        journal = self.inside("journalctl", "--no-pager", "-u", SERVICE).stdout
        self.assertEqual(self.show("ActiveState"), "active", journal)
        self.assertIn("serving", self.show("StatusText"))
        self.assertEqual(self.traced()["outcome"], "OUTCOME_REACHED")
        status = json.loads(self.inside("startscope", "status", "--format", "json").stdout)
        self.assertNotEqual(status["privileges"].get("uid", 0), 0)
        # One that dies is started again, and serves as before.
        first = self.show("MainPID")
        self.inside("systemctl", "kill", "-s", "KILL", "--kill-who=main", SERVICE)
        harness.wait_for(lambda: self.show("ActiveState") == "active" and self.show("MainPID") != first,
                         "the service to be back")
        self.assertEqual(self.show("NRestarts"), "1")
        self.traced()
        self.assertEqual(self.inside("systemctl", "stop", SERVICE).returncode, 0)
        self.assertEqual(self.show("Result"), "success")
        self.assertEqual(self.show("ActiveState"), "inactive")


if __name__ == "__main__":
    unittest.main()
