#!/bin/bash
# Makes a private root over this machine's own and waits in it: what runs there sees Debian's
# packages, a fresh /etc, no network, and the stand-ins of bin/ for what only AWS or Ubuntu has.
# Usage: unshare --mount --pid --net --fork --kill-child setup.sh STUBS VOLUME STATE DISK PG
set -euo pipefail
stubs=$1 volume=$2 state=$3 disk=$4 pg=$5
root=$disk/root
mount --make-rprivate /
mount -t tmpfs tmpfs "$disk"
mkdir "$disk"/{upper,work,root}
mount -t overlay overlay -o "lowerdir=/,upperdir=$disk/upper,workdir=$disk/work" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/dev"
for node in null zero full random urandom; do touch "$root/dev/$node"; mount --bind "/dev/$node" "$root/dev/$node"; done
ln -s /proc/self/fd "$root/dev/fd"
mkdir -p "$root/dev/shm" "$root/dev/disk/by-id" "$root/stub" "$root/volume"
chmod 1777 "$root/dev/shm"
for empty in etc/postgresql etc/pgbouncer var/lib/postgresql var/log/postgresql run/postgresql tmp; do
  mount -t tmpfs tmpfs "$root/$empty"
done
chmod 1777 "$root/tmp"
chown postgres:postgres "$root"/{etc/postgresql,etc/pgbouncer,var/lib/postgresql,var/log/postgresql,run/postgresql}
mount --bind "$state" "$root/stub"
mkdir -p "$root/stub/bin"
mount --bind "$stubs" "$root/stub/bin"
mount --bind "$volume" "$root/volume"
: > "$root/etc/fstab"
mkdir -p "$root/etc/systemd/system" "$root/etc/apt/apt.conf.d" "$root/usr/share/postgresql-common/pgdg"
printf '#!/bin/bash\nexec apt-get repository postgresql\n' > "$root/usr/share/postgresql-common/pgdg/apt.postgresql.org.sh"
chmod 755 "$root/usr/share/postgresql-common/pgdg/apt.postgresql.org.sh"
cp /etc/postgresql-common/createcluster.conf "$root/etc/postgresql-common/"
rm -rf "$root/etc/postgresql-common/createcluster.d"
extension=$root/usr/share/postgresql/$pg/extension
cp "$stubs/../timescaledb.sql" "$extension/timescaledb--2.28.3.sql"
echo 'select 1;' > "$extension/timescaledb--2.28.3--2.28.4.sql"
printf "default_version = '2.28.3'\nrelocatable = false\nsuperuser = true\n" > "$extension/timescaledb.control"
ip link set lo up 2>/dev/null || ifconfig lo up
echo ready > "$root/stub/ready"
# It reaps what ends inside, as an init does.
while :; do /bin/sleep 0.5 || true; done
