#!/usr/bin/env bash
# Become systemd as process 1 of a tree, in namespaces of its own. Started by booted.py.
#
#   boot.sh CGROUP TREE
#
# CGROUP is a directory in the cgroup2 hierarchy, TREE a mounted Debian with systemd. Nothing of the machine is
# seen from inside but its network and its kernel.
set -euo pipefail
if [ "${3:-}" != inside ]; then
    echo $$ >"$1/cgroup.procs"
    exec unshare --mount --pid --fork --kill-child --cgroup --ipc --uts "$0" "$@" inside
fi
tree=$2
mount --make-rprivate /
mount -t proc proc "$tree/proc"
mount -t sysfs -o ro sysfs "$tree/sys"
mount -t cgroup2 cgroup2 "$tree/sys/fs/cgroup"
mount -t tmpfs -o mode=0755 tmpfs "$tree/run"
mount -t tmpfs -o mode=0755 tmpfs "$tree/dev"
for device in null zero full random urandom; do
    touch "$tree/dev/$device"
    mount --bind "/dev/$device" "$tree/dev/$device"
done
cd "$tree"
mkdir -p run/before
pivot_root . run/before
umount --lazy /run/before
# As systemd makes them where it is not in a container.
mount --make-rshared /
exec env -i container=unshare PATH=/usr/sbin:/usr/bin /lib/systemd/systemd --system \
    --log-target=null --show-status=false
