#!/bin/bash
# First boot of the database instance (Ubuntu 24.04, arm64): its volume, TimescaleDB, pgBouncer.
# Every step can run again, after being cut short too, and on a volume that another instance has
# used: data, certificate and packages are on the volume, all else is written here anew.
set -euxo pipefail
export DEBIAN_FRONTEND=noninteractive
REGION=@REGION@ VOLUME=@VOLUME@ SECRET=@SECRET@ ZONE=@ZONE@ NAME=@NAME@ CLIENTS=@CLIENTS@ CREDENTIALS=@CREDENTIALS@
PG=@POSTGRES@ PG_VERSION=@POSTGRES_VERSION@ TIMESCALE_VERSION=@TIMESCALEDB_VERSION@
KEPT=/var/lib/postgresql
DATA=$KEPT/$PG/main CONF=/etc/postgresql/$PG/main PACKAGES=$KEPT/packages

# Mirrors and AWS itself may not respond for a while; without them there is nothing else to do.
until_done() { until "$@"; do sleep 10; done; }

until_done apt-get update -q
until_done apt-get install -qy gnupg curl jq unattended-upgrades snapd xfsprogs postgresql-common
until_done snap install aws-cli --classic
export PATH=$PATH:/snap/bin
imds() { curl -sf -H "X-aws-ec2-metadata-token: $(curl -sfX PUT http://169.254.169.254/latest/api/token -H 'X-aws-ec2-metadata-token-ttl-seconds: 60')" "http://169.254.169.254/latest/meta-data/$1"; }

# The volume, once the instance before this one has let go of it. It may be here already.
DEVICE=/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${VOLUME/-/}
until [ -e "$DEVICE" ]; do
  aws ec2 attach-volume --region "$REGION" --volume-id "$VOLUME" --instance-id "$(imds instance-id)" --device /dev/sdf || true
  sleep 5
done
# Without -f it refuses to overwrite a file system that blkid failed to see.
blkid "$DEVICE" || mkfs.xfs "$DEVICE"
mkdir -p $KEPT
grep -q " $KEPT " /etc/fstab || echo "$DEVICE $KEPT xfs noatime,nofail 0 2" >> /etc/fstab
mountpoint -q $KEPT || mount $KEPT
mountpoint -q $KEPT

# PostgreSQL with TimescaleDB's community edition: the packages on the volume, so that an instance
# that takes over has the versions that wrote the data; without any, the versions named above.
cat > /etc/apt/apt.conf.d/90pulseboard <<CONF
Dir::Cache::archives "$PACKAGES";
APT::Keep-Downloaded-Packages "true";
Binary::apt-get::APT::Keep-Downloaded-Packages "true";
CONF
mkdir -p $PACKAGES/partial /etc/postgresql-common/createcluster.d
echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.d/pulseboard.conf
repositories() {
  /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y &&
    curl -fsSL https://packagecloud.io/timescale/timescaledb/gpgkey | gpg --dearmor --yes -o /etc/apt/trusted.gpg.d/timescaledb.gpg &&
    echo "deb https://packagecloud.io/timescale/timescaledb/ubuntu/ noble main" > /etc/apt/sources.list.d/timescaledb.list &&
    apt-get update -q
}
from_volume() { [ -e $PACKAGES/complete ] && apt-get install -qy --allow-downgrades --allow-change-held-packages $PACKAGES/*.deb; }
from_mirror() {
  repositories && apt-get install -qy "postgresql-$PG=$PG_VERSION" "postgresql-client-$PG=$PG_VERSION" \
    "timescaledb-2-postgresql-$PG=$TIMESCALE_VERSION" "timescaledb-2-loader-postgresql-$PG=$TIMESCALE_VERSION" \
    timescaledb-tools pgbouncer
}
from_volume || until_done from_mirror
touch $PACKAGES/complete
apt-mark hold "postgresql-$PG" "postgresql-client-$PG" "timescaledb-2-postgresql-$PG" "timescaledb-2-loader-postgresql-$PG"

# The name of postgres can have another number on another instance.
for kept in $KEPT $KEPT/$PG; do
  if [ -e $kept ] && [ "$(stat -c %U $kept)" != postgres ]; then chown -R postgres:postgres $kept; fi
done
if [ ! -e "$DATA/PG_VERSION" ]; then
  # Elsewhere, then renamed: one that was cut short is no database.
  install -d -o postgres -g postgres $KEPT/$PG
  rm -rf "$DATA.new"
  runuser -u postgres -- /usr/lib/postgresql/$PG/bin/initdb --pgdata "$DATA.new" --encoding UTF8 --locale C.UTF-8 --auth-local peer --auth-host scram-sha-256 --data-checksums
  mv -T "$DATA.new" "$DATA"
fi
# Debian keeps the configuration apart from the data, on the disk that goes with the instance: it is
# always made here, with an empty cluster that is deleted, and then points to the data.
if [ ! -e "$CONF/postgresql.conf" ]; then
  rm -rf "$CONF" /var/tmp/empty-cluster
  pg_createcluster $PG main -d /var/tmp/empty-cluster --locale C.UTF-8 --encoding UTF8
fi
pg_conftool $PG main set data_directory "$DATA"
rm -rf /var/tmp/empty-cluster
timescaledb-tune --quiet --yes --conf-path "$CONF/postgresql.conf"
# Last, since the last value of a setting decides.
sed -i "/^ *include_dir /d" "$CONF/postgresql.conf"
echo "include_dir 'conf.d'" >> "$CONF/postgresql.conf"
install -d "$CONF/conf.d"
cat > "$CONF/conf.d/pulseboard.conf" <<'CONF'
# JIT makes dashboard queries two to three times slower.
jit = off
timezone = 'UTC'
password_encryption = 'scram-sha-256'
listen_addresses = '127.0.0.1'
max_connections = 60
CONF
chown -R postgres:postgres "$CONF"
systemctl restart postgresql@$PG-main

# The role's password follows the secret: rotating it needs no restart of anything.
cat > /usr/local/bin/pulseboard-password <<SCRIPT
#!/bin/bash
set -euo pipefail
umask 077
export PATH=\$PATH:/snap/bin
password=\$(aws secretsmanager get-secret-value --region $REGION --secret-id $SECRET --query SecretString --output text | jq -r .password)
[ -n "\$password" ]
cmp -s <(printf %s "\$password") /var/lib/pulseboard-password 2>/dev/null && exit 0
runuser -u postgres -- psql -v ON_ERROR_STOP=1 -v password="\$password" <<'SQL'
select 'create role pulseboard login createrole' where not exists (select from pg_roles where rolname = 'pulseboard') \gexec
alter role pulseboard password :'password';
select 'create database pulseboard owner pulseboard' where not exists (select from pg_database where datname = 'pulseboard') \gexec
\c pulseboard
create extension if not exists timescaledb;
grant pg_monitor to pulseboard;
SQL
printf '"pulseboard" "%s"\n' "\$password" > /etc/pgbouncer/userlist.txt
chown postgres:postgres /etc/pgbouncer/userlist.txt
systemctl reload-or-restart pgbouncer
# Where functions read it, and by which certificate they know this database.
jq -n --arg password "\$password" --rawfile ca $KEPT/tls/server.crt '{username: "pulseboard", password: \$password, ca: \$ca}' |
  aws s3 cp - $CREDENTIALS --region $REGION --content-type application/json
printf %s "\$password" > /var/lib/pulseboard-password
SCRIPT
# That background jobs run: versions that do not fit each other start, serve, and run none.
cat > /usr/local/bin/pulseboard-check <<'SCRIPT'
#!/bin/bash
set -euo pipefail
sql() { runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d pulseboard -c "$1"; }
[ "$(sql 'show jit')/$(sql 'show max_connections')" = off/60 ] || { echo "PostgreSQL does not read its configuration" >&2; exit 1; }
sql "drop schema if exists pulseboard_check cascade; create schema pulseboard_check;
  create procedure pulseboard_check.job(job_id int, config jsonb) language sql as 'select 1';" 2>/dev/null
job=$(sql "select add_job('pulseboard_check.job', '1 day', initial_start => now())")
trap 'sql "select delete_job($job); drop schema pulseboard_check cascade" >/dev/null 2>&1' EXIT
for _ in $(seq 60); do
  [ "$(sql "select coalesce(max(total_successes), 0) from timescaledb_information.job_stats where job_id = $job")" != 0 ] && exit 0
  sleep 1
done
echo "TimescaleDB runs no background jobs: $(sql "select version(), (select extversion from pg_extension where extname = 'timescaledb')")" >&2
exit 1
SCRIPT
# Other versions: pulseboard-update 'postgresql-17=17.8-*' 'timescaledb-2-postgresql-17=2.28.4*' …
cat > /usr/local/bin/pulseboard-update <<SCRIPT
#!/bin/bash
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
[ \$# -gt 0 ] || { echo "usage: pulseboard-update PACKAGE=VERSION…" >&2; exit 2; }
rm -rf $KEPT/packages-before
cp -a $PACKAGES $KEPT/packages-before
back() {
  echo "going back to the versions before" >&2
  rm -rf $PACKAGES
  mv $KEPT/packages-before $PACKAGES
  apt-get install -qy --allow-downgrades --allow-change-held-packages $PACKAGES/*.deb
  systemctl restart postgresql@$PG-main
  /usr/local/bin/pulseboard-check
  exit 1
}
apt-get update -q
apt-get install -qy --allow-downgrades --allow-change-held-packages "\$@" || back
systemctl restart postgresql@$PG-main || back
# With the catalogue as it is first: that one can't go back.
/usr/local/bin/pulseboard-check || back
runuser -u postgres -- psql -X -v ON_ERROR_STOP=1 -d pulseboard -c 'alter extension timescaledb update'
/usr/local/bin/pulseboard-check
for changed in "\$@"; do
  find $PACKAGES -name "\${changed%%=*}_*.deb" -printf '%T@ %p\n' | sort -rn | tail -n +2 | cut -d' ' -f2- | xargs -r rm
done
rm -rf $KEPT/packages-before
dpkg-query -W "postgresql-$PG" "timescaledb-2-postgresql-*" || true
SCRIPT
chmod 700 /usr/local/bin/pulseboard-password /usr/local/bin/pulseboard-check /usr/local/bin/pulseboard-update
# On the volume: clients that know this certificate go on after the instance is replaced.
install -d -m 700 -o postgres -g postgres $KEPT/tls
if ! openssl x509 -checkend 2592000 -noout -in $KEPT/tls/server.crt 2>/dev/null; then
  openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=$NAME" -addext "subjectAltName=DNS:$NAME" -keyout $KEPT/tls/new.key -out $KEPT/tls/new.crt
  mv $KEPT/tls/new.key $KEPT/tls/server.key
  mv $KEPT/tls/new.crt $KEPT/tls/server.crt
fi
chown postgres:postgres $KEPT/tls/server.key $KEPT/tls/server.crt
cat > /etc/pgbouncer/pgbouncer.ini <<CONF
[databases]
pulseboard = host=127.0.0.1 port=5432 dbname=pulseboard
[pgbouncer]
listen_addr = *
listen_port = 6432
auth_type = scram-sha-256
auth_file = /etc/pgbouncer/userlist.txt
pool_mode = transaction
max_client_conn = $CLIENTS
default_pool_size = 30
query_wait_timeout = 10
# Lambda ends environments without closing their connections: 75 s instead of two hours.
tcp_keepalive = 1
tcp_keepidle = 45
tcp_keepintvl = 10
tcp_keepcnt = 3
server_tls_sslmode = disable
client_tls_sslmode = require
client_tls_key_file = $KEPT/tls/server.key
client_tls_cert_file = $KEPT/tls/server.crt
ignore_startup_parameters = extra_float_digits,options
CONF
cat > /etc/systemd/system/pulseboard-password.service <<UNIT
[Service]
Type=oneshot
ExecStart=/usr/local/bin/pulseboard-password
# A volume that was enlarged is used at once.
ExecStartPost=-/usr/sbin/xfs_growfs -d $KEPT
UNIT
cat > /etc/systemd/system/pulseboard-password.timer <<'UNIT'
[Timer]
OnBootSec=10
OnUnitActiveSec=60
[Install]
WantedBy=timers.target
UNIT
systemctl daemon-reload
rm -f /var/lib/pulseboard-password
until_done /usr/local/bin/pulseboard-password
systemctl enable --now pulseboard-password.timer
systemctl enable pgbouncer
systemctl restart pgbouncer

# From here on the name leads to this instance.
until_done aws route53 change-resource-record-sets --hosted-zone-id "$ZONE" --change-batch "{\"Changes\":[{\"Action\":\"UPSERT\",\"ResourceRecordSet\":{\"Name\":\"$NAME\",\"Type\":\"A\",\"TTL\":10,\"ResourceRecords\":[{\"Value\":\"$(imds local-ipv4)\"}]}}]}"
/usr/local/bin/pulseboard-check
