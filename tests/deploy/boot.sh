#!/usr/bin/env bash
# Become systemd as process 1 of namespaces of its own. Started by booted.py.
#
#   boot.sh CGROUP SYSTEMD LIBRARIES
#
# CGROUP is a directory in the cgroup2 hierarchy, SYSTEMD the program. The units are in the directory
# from which it is started. Nothing on the machine itself is changed: what systemd and the service
# write to is in memory, and seen by them alone.
set -euo pipefail
if [ "${4:-}" != inside ]; then
    echo $$ >"$1/cgroup.procs"
    exec unshare --mount --pid --fork --kill-child --cgroup --ipc --uts "$0" "$@" inside
fi
units=$PWD
mount --make-rprivate /
umount --recursive /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t proc proc /proc
for directory in /run /media /var/lib; do
    mount -t tmpfs -o mode=0755 tmpfs "$directory"
done
mkdir -p /run/systemd/system
cp -r "$units"/. /run/systemd/system
# As systemd makes them where it is not in a container.
mount --make-rshared /
cd /
export container=unshare SYSTEMD_UNIT_PATH=/run/systemd/system LD_LIBRARY_PATH=$3
exec "$2" --system --unit=cvmfs-snapshotter.service --log-target=null --show-status=false
