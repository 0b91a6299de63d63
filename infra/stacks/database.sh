#!/bin/bash
# First boot of the database instance (Ubuntu 24.04, arm64): its volume, TimescaleDB, pgBouncer.
# Every step can run again: an instance that takes over finds its data on the volume.
set -euxo pipefail
export DEBIAN_FRONTEND=noninteractive
REGION=@REGION@ VOLUME=@VOLUME@ SECRET=@SECRET@ ZONE=@ZONE@ NAME=@NAME@ CLIENTS=@CLIENTS@

apt-get update -q
apt-get install -qy gnupg curl jq unattended-upgrades snapd xfsprogs postgresql-common
snap install aws-cli --classic
export PATH=$PATH:/snap/bin
imds() { curl -sf -H "X-aws-ec2-metadata-token: $(curl -sfX PUT http://169.254.169.254/latest/api/token -H 'X-aws-ec2-metadata-token-ttl-seconds: 60')" "http://169.254.169.254/latest/meta-data/$1"; }

# The volume, once the instance before this one has let go of it.
until aws ec2 attach-volume --region "$REGION" --volume-id "$VOLUME" --instance-id "$(imds instance-id)" --device /dev/sdf; do sleep 5; done
DEVICE=/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${VOLUME/-/}
until [ -e "$DEVICE" ]; do sleep 1; done
blkid "$DEVICE" || mkfs.xfs "$DEVICE"
mkdir -p /var/lib/postgresql
grep -q /var/lib/postgresql /etc/fstab || echo "$DEVICE /var/lib/postgresql xfs noatime,nofail 0 2" >> /etc/fstab
mount -a

# PostgreSQL 17 with TimescaleDB's community edition.
/usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y
curl -fsSL https://packagecloud.io/timescale/timescaledb/gpgkey | gpg --dearmor --yes -o /etc/apt/trusted.gpg.d/timescaledb.gpg
echo "deb https://packagecloud.io/timescale/timescaledb/ubuntu/ noble main" > /etc/apt/sources.list.d/timescaledb.list
apt-get update -q
mkdir -p /etc/postgresql-common && echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf
apt-get install -qy postgresql-17 timescaledb-2-postgresql-17 timescaledb-tools pgbouncer
[ -e /var/lib/postgresql/17/main/PG_VERSION ] || install -d -o postgres -g postgres /var/lib/postgresql/17
[ -e /etc/postgresql/17/main ] || pg_createcluster 17 main -d /var/lib/postgresql/17/main -- --data-checksums
timescaledb-tune --quiet --yes
install -d /etc/postgresql/17/main/conf.d
cat > /etc/postgresql/17/main/conf.d/pulseboard.conf <<'CONF'
# JIT makes dashboard queries two to three times slower.
jit = off
timezone = 'UTC'
password_encryption = 'scram-sha-256'
listen_addresses = '127.0.0.1'
max_connections = 60
CONF
systemctl restart postgresql@17-main

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
printf %s "\$password" > /var/lib/pulseboard-password
SCRIPT
chmod 700 /usr/local/bin/pulseboard-password
openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=$NAME" -keyout /etc/pgbouncer/server.key -out /etc/pgbouncer/server.crt
chown postgres:postgres /etc/pgbouncer/server.key
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
server_tls_sslmode = disable
client_tls_sslmode = require
client_tls_key_file = /etc/pgbouncer/server.key
client_tls_cert_file = /etc/pgbouncer/server.crt
ignore_startup_parameters = extra_float_digits,options
CONF
cat > /etc/systemd/system/pulseboard-password.service <<'UNIT'
[Service]
Type=oneshot
ExecStart=/usr/local/bin/pulseboard-password
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
/usr/local/bin/pulseboard-password
systemctl enable --now pulseboard-password.timer
systemctl restart pgbouncer

# Last: from here on the name leads to this instance.
aws route53 change-resource-record-sets --hosted-zone-id "$ZONE" --change-batch "{\"Changes\":[{\"Action\":\"UPSERT\",\"ResourceRecordSet\":{\"Name\":\"$NAME\",\"Type\":\"A\",\"TTL\":10,\"ResourceRecords\":[{\"Value\":\"$(imds local-ipv4)\"}]}}]}"
