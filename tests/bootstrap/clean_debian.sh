#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

# clean_debian.sh [DIRECTORY]: proves the README's two commands where nothing is installed yet: makes a
# minimal Debian 12 in DIRECTORY (default: a temporary one, removed afterwards), puts a clone of HEAD into
# it, and runs deploy/quickstart.sh and tests/run.sh there as root, on the running kernel. Needs root,
# debootstrap and git. Package sources are the ones this machine uses.

set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
target=${1:-}
[ -n "$target" ] || target=$(mktemp -d /var/tmp/startscope-clean.XXXXXX)
keep=${1:+yes}

say() { echo "clean_debian: $*"; }

# Everything that we mount, undone in reverse whatever happens.
cleanup() {
  status=$?
  for where in sys/fs/cgroup/unified sys/fs/cgroup sys dev/pts dev/shm dev proc; do
    if mountpoint -q "$target/$where"; then umount -l "$target/$where"; fi
  done
  [ -n "$keep" ] || rm -rf --one-file-system "$target"
  exit $status
}
trap cleanup EXIT INT TERM

[ "$(id -u)" -eq 0 ] || { say "needs root"; exit 1; }
command -v debootstrap >/dev/null || { say "needs debootstrap (apt-get install debootstrap)"; exit 1; }

# The first URI of the first Debian source of this machine.
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
  sed -n 's/^URIs: *\([^ ]*debian\)\/*$/\1/p; s/^deb \(\[[^]]*\] \)\?\([^ ]*debian\)\/* .*/\2/p' | head -n 1)
[ -n "$mirror" ] || { say "no Debian package source found in this machine's apt configuration"; exit 1; }

say "bootstrapping Debian 12 into $target"
debootstrap --variant=minbase bookworm "$target" "$mirror" >"$target.log" 2>&1 ||
  { tail -n 20 "$target.log"; say "debootstrap failed"; exit 1; }
rm -f "$target.log"
chmod 755 "$target"  # as / is: programs of other users run below it
# How this machine reaches its sources (proxies and the like) holds inside too.
cp -a /etc/apt/apt.conf.d/. "$target/etc/apt/apt.conf.d/"
cp /etc/resolv.conf "$target/etc/resolv.conf" 2>/dev/null || true
cp /etc/hosts "$target/etc/hosts"
if [ -d /usr/local/share/ca-certificates ]; then
  mkdir -p "$target/usr/local/share/ca-certificates" "$target/etc/ssl/certs"
  cp -a /usr/local/share/ca-certificates/. "$target/usr/local/share/ca-certificates/"
fi
cp -L /etc/ssl/certs/ca-certificates.crt "$target/etc/ssl/certs/" 2>/dev/null || true
[ ! -f /root/.npmrc ] || cp /root/.npmrc "$target/root/.npmrc"
[ ! -f /usr/etc/npmrc ] || { mkdir -p "$target/etc"; cp /usr/etc/npmrc "$target/etc/npmrc"; }

mount -t proc proc "$target/proc"
mount --rbind /dev "$target/dev"
mount --make-rslave "$target/dev"
mount --rbind /sys "$target/sys"
mount --make-rslave "$target/sys"

git clone -q "$root" "$target/root/startscope"
git -C "$target/root/startscope" log -1 --format='clean_debian: at %h %s'

inside() {
  env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
    ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
    ${npm_config_registry:+npm_config_registry="$npm_config_registry"} \
    ${NODE_EXTRA_CA_CERTS:+NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt} \
    chroot "$target" /bin/bash -c "cd /root/startscope && $1"
}

say "deploy/quickstart.sh"
inside deploy/quickstart.sh
say "tests/run.sh"
inside tests/run.sh
say "both commands passed"
