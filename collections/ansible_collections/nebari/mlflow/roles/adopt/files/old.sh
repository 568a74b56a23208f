#!/bin/sh
# Runs the official PostgreSQL on the volume of another chart: the data directory `data`, its settings elsewhere. It
# recovers what was not shut down cleanly, listens on a socket only, and ends when the copy has ended.
set -eu
sockets=/mlflow/sockets
data=/mlflow/old/data

fail() {
  echo "adopt: ERROR: $*" >&2
  echo "$*" >"$sockets/failed"
  exit 1
}
[ -s "$data/PG_VERSION" ] || fail "The old volume holds no PostgreSQL in the directory data: $(ls -A /mlflow/old | tr '\n' ' ')"
major=$(cat "$data/PG_VERSION")
ours=$(postgres --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
[ "$major" = "$ours" ] ||
  fail "The old volume was written by PostgreSQL $major, and this image runs $ours. Fix: set mlflow_adopt_image to an image of PostgreSQL $major, such as docker.io/library/postgres:$major."
chmod 0700 "$data"
rm -f "$data/postmaster.pid"  # of a pod that is gone: the volume is attached here only
echo 'local all all trust' >/tmp/hba.conf
: >/tmp/ident.conf
: >/tmp/old.conf
postgres -D "$data" -c config_file=/tmp/old.conf -c hba_file=/tmp/hba.conf -c ident_file=/tmp/ident.conf \
  -c listen_addresses= -c unix_socket_directories="$sockets" -p 5433 -c max_parallel_workers_per_gather=0 &
pid=$!
while [ ! -e "$sockets/ended" ]; do
  kill -0 "$pid" 2>/dev/null || fail "PostgreSQL does not start on the old volume; see the log of the container old."
  sleep 0.5
done
kill -INT "$pid"
wait "$pid"
