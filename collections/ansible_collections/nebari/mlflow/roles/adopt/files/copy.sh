#!/bin/sh
# Fills a new data directory from the old database and compares the two, row by row. It has the volume for itself: no
# server runs on it, and until this script has ended well, nobody takes it for data.
set -eu
sockets=/mlflow/sockets
new=5432

as_json() { printf '"%s"' "$(printf %s "$1" | tr '\n\t\r' '   ' | sed 's/[\\"]/\\&/g')"; }
fail() {
  echo "adopt: ERROR: $*" >&2
  printf '{"verb": "adopt", "result": "failed", "cause": %s, "fix": %s}' "$(as_json "The old database could not be copied. $*")" \
    "$(as_json "$WAY_BACK")" >/dev/termination-log
  exit 1
}
ended() { touch "$sockets/ended"; }
trap ended EXIT

# The old database: a Service, or the socket of the container that runs on its volume.
if [ -z "${PGHOST:-}" ]; then
  export PGHOST="$sockets" PGPORT=5433 PGUSER=postgres
fi
export PGDATABASE="$OLD_DATABASE" PGAPPNAME=mlflow-adopt PGCONNECT_TIMEOUT=10
tries=0
until pg_isready -q; do
  [ ! -s "$sockets/failed" ] || fail "$(cat "$sockets/failed")"
  tries=$((tries + 1))
  [ "$tries" -lt 600 ] || fail "The old database at $PGHOST does not answer."
  sleep 1
done
why=$(psql -XqAtc 'SELECT 1' 2>&1 >/dev/null) || fail "The old database refuses the connection: $why"
there=$(psql -XqAtc "SELECT to_regclass('public.alembic_version')")
[ -n "$there" ] || fail "The database $PGDATABASE holds no tables of MLflow."

# What an attempt that was cut off left is not data of anybody.
rm -rf "$PGDATA"
initdb -D "$PGDATA" --username postgres --encoding UTF8 --data-checksums --auth-local=trust --auth-host=scram-sha-256 \
  >/tmp/initdb.log 2>&1 || fail "initdb: $(tail -3 /tmp/initdb.log)"
pg_ctl -D "$PGDATA" -w -l /tmp/server.log -o "-c listen_addresses='' -p $new -c unix_socket_directories=$sockets \
  -c max_parallel_workers_per_gather=0 -c max_parallel_maintenance_workers=0 -c fsync=off" start >/dev/null ||
  fail "PostgreSQL does not start: $(tail -3 /tmp/server.log)"

in_new() { env -u PGPASSWORD PGHOST="$sockets" PGPORT="$new" PGUSER=postgres PGDATABASE="${database:-postgres}" "$@"; }

in_new psql -XqAt -v ON_ERROR_STOP=1 -v role="$MLFLOW_USER" -v database="$MLFLOW_DATABASE" <<'SQL' || fail "The new database cannot be created."
CREATE ROLE :"role" LOGIN;
CREATE DATABASE :"database" OWNER :"role";
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
SQL
database="$MLFLOW_DATABASE"

rm -f /tmp/dump-failed
{ pg_dump -Fc --no-owner --no-acl 2>/tmp/dump.log || touch /tmp/dump-failed; } |
  in_new pg_restore --no-owner --no-acl --role="$MLFLOW_USER" --exit-on-error -d "$MLFLOW_DATABASE" 2>/tmp/restore.log ||
  fail "pg_restore: $(tail -3 /tmp/restore.log)"
[ ! -e /tmp/dump-failed ] || fail "pg_dump: $(tail -3 /tmp/dump.log)"

count() { psql -XqAt -F ' ' -v ON_ERROR_STOP=1 -f /mlflow/scripts/count.sql; }
count >/tmp/old || fail "The old database cannot be counted."
in_new psql -XqAt -F ' ' -v ON_ERROR_STOP=1 -f /mlflow/scripts/count.sql >/tmp/new ||
  fail "The new database cannot be counted."

report() {
  echo "server $(psql -XqAtc 'SHOW server_version')"
  echo "size $(psql -XqAtc 'SELECT pg_database_size(current_database())')"
  cat /tmp/moved /tmp/elsewhere
  sed 's/^/old /' /tmp/old
  sed 's/^/new /' /tmp/new
}
: >/tmp/moved
: >/tmp/elsewhere
if ! cmp -s /tmp/old /tmp/new; then
  report
  fail "Old and new database differ in: $(sort /tmp/old /tmp/new | uniq -u | cut -d ' ' -f 1 | sort -u | tr '\n' ' ')"
fi

# Only now, and only in the copy: what led to the old store leads to the new one.
in_new psql -XqAt -F ' ' -v ON_ERROR_STOP=1 -v roots="$OLD_LOCATIONS" -v store="$NEW_STORE" -f /mlflow/scripts/locations.sql \
  >/tmp/locations 2>/tmp/locations.log || fail "The locations of artifacts cannot be rewritten: $(tail -3 /tmp/locations.log)"
grep '^moved ' /tmp/locations >/tmp/moved || true
grep '^elsewhere ' /tmp/locations >/tmp/elsewhere || true

in_new psql -XqAt -c CHECKPOINT
pg_ctl -D "$PGDATA" -w -m fast stop >/dev/null || fail "PostgreSQL does not stop: $(tail -3 /tmp/server.log)"
sync
report
echo "same $(wc -l </tmp/old)"
