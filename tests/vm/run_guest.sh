#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

# run_guest.sh SOURCE BUILD [TEST…]: runs the integration tests (all, or the named ones) in a virtual
# machine with Debian's own kernel: for machines whose kernel offers no BPF, and to try another kernel.
# Software emulation, one processor: correctness only, never figures. The guest sees this machine's root
# file system read-only, below a file system in memory. STARTSCOPE_GUEST_KERNEL names the kernel package
# (default: the current linux-image-cloud-amd64). Ends as run.py does; exit status 0 only if all passed.

set -eu

source_dir=$(realpath "$1")
build_dir=$(realpath "$2")
shift 2
tests="$*"
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d /var/tmp/startscope-vm.XXXXXX)
pids=()

cleanup() {
  status=$?
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
  exit $status
}
trap cleanup EXIT INT TERM

"$here/../../deploy/install_packages.sh" "$here/packages.txt"

# The kernel, unpacked and never installed.
package=${STARTSCOPE_GUEST_KERNEL:-$(apt-cache depends linux-image-cloud-amd64 |
  sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)}
[ -n "$package" ] || { echo "run_guest: no kernel package found (apt-get update?)" >&2; exit 1; }
(cd "$work" && apt-get download -qq "$package" >/dev/null 2>&1 && dpkg -x ./*.deb kernel)
version=$(ls "$work/kernel/lib/modules")
modules=$work/kernel/lib/modules/$version

# A first file system that only mounts the real one.
initial=$work/initial
mkdir -p "$initial"/{bin,modules,proc,sys,dev,lower,rw,root}
cp /bin/busybox "$initial/bin/busybox"
count=0
for name in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci fuse virtiofs overlay; do
  file=$(find "$modules" -name "$name.ko*" | head -n 1)
  [ -n "$file" ] || continue  # built in
  count=$((count + 1))
  target=$initial/modules/$(printf '%02d' $count)-$name.ko
  case $file in
    *.xz) xz -dc "$file" >"$target" ;;
    *) cp "$file" "$target" ;;
  esac
done
cat >"$initial/init" <<INIT
#!/bin/busybox sh
b=/bin/busybox
\$b mount -t proc proc /proc
\$b mount -t sysfs sys /sys
\$b mount -t devtmpfs dev /dev
for module in /modules/*; do \$b insmod \$module; done
\$b mount -t virtiofs -o ro hostroot /lower
\$b mount -t tmpfs -o size=1500m rw /rw
\$b mkdir -p /rw/upper /rw/work
\$b mount -t overlay -o lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work overlay /root
for where in proc sys dev tmp run; do \$b mkdir -p /root/\$where; done
\$b mount -t proc proc /root/proc
\$b mount -t sysfs sys /root/sys
\$b mount -t cgroup2 cgroup2 /root/sys/fs/cgroup
\$b mount -t devtmpfs dev /root/dev
\$b mkdir -p /root/dev/shm /root/dev/pts
\$b mount -t devpts pts /root/dev/pts
\$b mount -t tmpfs shm /root/dev/shm
# The programs under test lie on a file system whose inode numbers are the same for stat and for the
# kernel, which those of an overlay are not.
\$b mount -t tmpfs -o size=900m tmp /root/tmp
\$b mkdir -p /root/tmp/build
\$b cp -a /lower$build_dir/bin /lower$build_dir/programs /root/tmp/build/
\$b ip link set lo up 2>/dev/null
echo "run_guest: Linux \$(\$b uname -r)"
\$b chroot /root /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  HOME=/root LANG=C.UTF-8 /usr/bin/python3 $source_dir/tests/integration/run.py --build /tmp/build $tests
echo "run_guest: tests ended with status \$?, kernel taint \$(\$b cat /proc/sys/kernel/tainted)"
\$b sync
\$b poweroff -f
INIT
chmod +x "$initial/init"
(cd "$initial" && find . | cpio --quiet -o -H newc | gzip -1) >"$work/initial.gz"

/usr/lib/qemu/virtiofsd --socket-path="$work/fs.sock" -o source=/ -o sandbox=chroot -o no_posix_lock \
  -o cache=auto >"$work/virtiofsd.log" 2>&1 &
pids+=($!)
for _ in $(seq 100); do [ -S "$work/fs.sock" ] && break; sleep 0.1; done

timeout "${STARTSCOPE_GUEST_TIMEOUT:-2400}" qemu-system-x86_64 -accel tcg -cpu max -smp 1 -m 4096 \
  -object memory-backend-memfd,id=mem,size=4096M,share=on -numa node,memdev=mem \
  -chardev socket,id=fs,path="$work/fs.sock" -device vhost-user-fs-pci,chardev=fs,tag=hostroot \
  -kernel "$work/kernel/boot/vmlinuz-$version" -initrd "$work/initial.gz" \
  -append "console=ttyS0 quiet panic=-1 oops=panic" -display none -no-reboot -serial stdio -nic none \
  </dev/null | tr -d '\r' | tee "$work/console"
grep -q 'run_guest: tests ended with status 0, kernel taint 0' "$work/console"
