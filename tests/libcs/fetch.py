#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""fetch.py --into DIR [SUITE…]: the C libraries of Debian's suites, unpacked below DIR and never installed.

DIR/SUITE/root holds glibc (64 and 32 bit, with what is needed to link against it), libstdc++ and musl, laid
out as the suite has it; DIR/SUITE/debug its separate debug files; DIR/SUITE/versions.json what was taken.
The archive is the one that this machine's apt uses, with a state of apt's own for each suite; the current
versions are resolved, as superseded ones vanish. What is there already is not asked for again (--refresh
does). A suite that does not answer, or whose files are not what they should be, is an error."""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

SUITES = ["bullseye", "bookworm", "trixie", "sid"]
PACKAGES = ["libc6", "libc6-i386", "libc6-dev", "libgcc-s1", "libstdc++6", "musl", "musl-dev"]
DEBUG_PACKAGES = ["libc6-dbg"]
LIBRARIES = "usr/lib/x86_64-linux-gnu"
LOADERS = {"glibc": "lib64/ld-linux-x86-64.so.2", "glibc-i386": "lib/ld-linux.so.2",
           "musl": "lib/ld-musl-x86_64.so.1"}


class FetchError(Exception):
    """What could not be fetched, why, and what helps."""


def check_output(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise FetchError(f"{' '.join(map(str, command))}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def archive():
    """URI and keyring of the Debian archive that this machine's apt uses."""
    targets = check_output(["apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN)",
                            "Created-By: Packages"])
    for line in targets.splitlines():
        uri, _, origin = line.partition(" ")
        if origin == "Debian" and re.search(r"/debian/?$", uri):
            return uri
    raise FetchError("apt knows no Debian archive: configure one in /etc/apt and run apt-get update")


class Suite:
    """One suite's libraries below a directory of their own."""

    def __init__(self, into, name, uri):
        self.name = name
        self.uri = uri
        self.directory = pathlib.Path(into).resolve() / name
        self.root = self.directory / "root"
        self.debug = self.directory / "debug"
        self.stamp = self.directory / "versions.json"

    def is_complete(self):
        if not self.stamp.exists():
            return False
        taken = json.loads(self.stamp.read_text())["packages"]
        return set(taken) == set(PACKAGES + DEBUG_PACKAGES)

    def apt(self, *command):
        state = self.directory / "apt"
        return check_output([command[0], *command[1:]], cwd=state / "archives",
                            env=dict(os.environ, APT_CONFIG=str(state / "apt.conf"), LC_ALL="C"))

    def make_apt_state(self):
        state = self.directory / "apt"
        for name in ("lists/partial", "cache/archives/partial", "archives"):
            (state / name).mkdir(parents=True, exist_ok=True)
        (state / "status").touch()
        keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
        (state / "sources.list").write_text(
            f"deb [arch=amd64 signed-by={keyring}] {self.uri} {self.name} main\n")
        (state / "apt.conf").write_text("".join(f'{option} "{value}";\n' for option, value in {
            "Dir::Etc::sourcelist": state / "sources.list", "Dir::Etc::sourceparts": "-",
            "Dir::Etc::preferencesparts": "-", "Dir::State": state,
            "Dir::State::lists": state / "lists", "Dir::State::status": state / "status",
            "Dir::Cache": state / "cache", "Acquire::Languages": "none",
            "Acquire::Retries": "2", "APT::Update::Error-Mode": "any",
            # Run as root, apt reads as its own user, who may not enter the build directory.
            "APT::Sandbox::User": "root"}.items()))

    def fetch(self):
        shutil.rmtree(self.directory, ignore_errors=True)
        self.make_apt_state()
        try:
            self.apt("apt-get", "-qq", "update")
            self.apt("apt-get", "-qq", "download", *PACKAGES, *DEBUG_PACKAGES)
        except FetchError as error:
            raise FetchError(f"suite {self.name} of {self.uri} did not answer: {error}; the suites "
                             f"are {', '.join(SUITES)}") from error
        # All suites as they are installed today, whatever their packages still ship in /lib.
        for name in ("lib", "lib32", "lib64", "bin", "sbin"):
            (self.root / "usr" / name).mkdir(parents=True)
            (self.root / name).symlink_to("usr/" + name)
        versions = {}
        for package in sorted((self.directory / "apt" / "archives").glob("*.deb")):
            name, version = check_output(
                ["dpkg-deb", "--show", "--showformat=${Package} ${Version}", package]).split()
            versions[name] = version
            into = self.debug if name in DEBUG_PACKAGES else self.root
            into.mkdir(exist_ok=True)
            subprocess.run(f"dpkg-deb --fsys-tarfile '{package}' | tar -x --keep-directory-symlink "
                           f"--no-same-owner -C '{into}'", shell=True, check=True)
        shutil.rmtree(self.directory / "apt")
        # Newer packages leave this link to their maintainer scripts.
        link = self.root / LOADERS["glibc-i386"]
        if not link.is_symlink():
            link.symlink_to("/lib32/ld-linux.so.2")
        self.check(versions)
        # Written last: without it, all of this is done again.
        self.stamp.write_text(json.dumps({"suite": self.name, "packages": versions}, indent=1) + "\n")

    def check(self, versions):
        """The files say of themselves what their packages are called."""
        missing = set(PACKAGES + DEBUG_PACKAGES) - set(versions)
        if missing:
            raise FetchError(f"suite {self.name}: no package {', '.join(sorted(missing))}")
        expected = re.match(r"(\d+\.\d+)", versions["libc6"])[1]
        libc = (self.root / LIBRARIES / "libc.so.6").read_bytes()
        told = re.search(rb"stable release version (\d+\.\d+)", libc)
        if not told or told[1].decode() != expected:
            raise FetchError(f"suite {self.name}: libc.so.6 of libc6 {versions['libc6']} calls itself "
                             f"{told and told[1].decode()}")
        for name, loader in LOADERS.items():
            if not resolve_in(self.root, loader).is_file():
                raise FetchError(f"suite {self.name}: {name} has no {loader}")
        for path in (resolve_in(self.root, LOADERS["glibc"]), self.root / LIBRARIES / "libc.so.6"):
            if not self.debug_file_of(path).is_file():
                raise FetchError(f"suite {self.name}: libc6-dbg has no debug file of {path}")

    def debug_file_of(self, path):
        build_id = build_id_of(path)
        return self.debug / "usr/lib/debug/.build-id" / build_id[:2] / (build_id[2:] + ".debug")


def build_id_of(path):
    notes = check_output(["readelf", "-n", path])
    return re.search(r"Build ID: ([0-9a-f]+)", notes)[1]


def resolve_in(root, path):
    """`path` with its symbolic links followed as if `root` were /."""
    root = pathlib.Path(root)
    parts, at = list(pathlib.PurePath(path).parts), root
    for _ in range(64):
        parts = [p for p in parts if p != "/"]
        if not parts:
            return at
        part = parts.pop(0)
        if part == "..":
            at = at if at == root else at.parent
            continue
        at = at / part
        if at.is_symlink():
            target = pathlib.PurePath(os.readlink(at))
            at = root if target.is_absolute() else at.parent
            parts = [*target.parts, *parts]
    raise FetchError(f"{root / path}: too many symbolic links")


def fetch(into, names=None, refresh=False):
    """Suites by name, each complete below `into`; they are fetched side by side."""
    suites = {name: Suite(into, name, None) for name in names or SUITES}
    wanted = [suite for suite in suites.values() if refresh or not suite.is_complete()]
    if wanted:
        uri = archive()
        for suite in wanted:
            suite.uri = uri
        with concurrent.futures.ThreadPoolExecutor(len(wanted)) as pool:
            for done in [pool.submit(suite.fetch) for suite in wanted]:
                done.result()
    return suites


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", required=True)
    parser.add_argument("--refresh", action="store_true")
    parser.add_argument("suites", nargs="*")
    options = parser.parse_args()
    try:
        suites = fetch(options.into, options.suites, options.refresh)
    except FetchError as error:
        print(f"fetch: {error}", file=sys.stderr)
        return 1
    for suite in suites.values():
        packages = json.loads(suite.stamp.read_text())["packages"]
        print(suite.name, *(f"{name} {packages[name]}" for name in ("libc6", "musl")), suite.root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
