#!/bin/bash
# The contract of the official postgres image, in our own words: POSTGRES_USER, POSTGRES_DB, POSTGRES_PASSWORD (or
# …_FILE), POSTGRES_INITDB_ARGS, POSTGRES_HOST_AUTH_METHOD, PGDATA and /docker-entrypoint-initdb.d, read only when
# PGDATA holds no database yet. It runs as root (and gives that up), as uid 999, and on a read-only root.
set -euo pipefail

fail() { printf 'entrypoint: %s\n' "$*" >&2; exit 1; }

# from_file NAME: NAME's value comes from the file that NAME_FILE names, where that is set.
from_file() {
  local name=$1 file=${1}_FILE
  [[ -n ${!file:-} ]] || return 0
  [[ -z ${!name:-} ]] || fail "both $name and $file are set: set one of them"
  export "$name=$(<"${!file}")"
  unset "$file"
}

start_local() { pg_ctl -D "$PGDATA" -w start -o "-c listen_addresses='' -p 5432" >/dev/null; }
stop_local() { pg_ctl -D "$PGDATA" -m fast -w stop >/dev/null; }
run_sql() { psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password --username "$POSTGRES_USER" "$@"; }

create_database() {
  [[ $POSTGRES_DB != postgres ]] || return 0
  run_sql --dbname postgres --set db="$POSTGRES_DB" --quiet <<<'CREATE DATABASE :"db";'
}

run_scripts() {
  local script
  for script in /docker-entrypoint-initdb.d/*; do
    case $script in
      *.sh) if [[ -x $script ]]; then "$script"; else . "$script"; fi ;;
      *.sql) run_sql --dbname "$POSTGRES_DB" --file "$script" ;;
      *.sql.gz) gunzip -c "$script" | run_sql --dbname "$POSTGRES_DB" ;;
    esac
  done
}

initialise() {
  local method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
  [[ -n ${POSTGRES_PASSWORD:-} || $method == trust ]] ||
    fail "no password: set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE to a non-empty value"
  # shellcheck disable=SC2086 # several arguments in one variable is the contract
  initdb -D "$PGDATA" --username "$POSTGRES_USER" --pwfile <(printf '%s\n' "${POSTGRES_PASSWORD:-}") \
    ${POSTGRES_INITDB_ARGS:-}
  printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
  export PGPASSWORD=${PGPASSWORD:-${POSTGRES_PASSWORD:-}}
  start_local
  create_database
  run_scripts
  stop_local
  unset PGPASSWORD
}

main() {
  [[ ${1:-} != -* ]] || set -- postgres "$@"
  [[ ${1:-} == postgres ]] || exec "$@"
  if [[ $(id -u) == 0 ]]; then
    install -d -o postgres -g postgres -m 0700 "$PGDATA"
    chown -R postgres:postgres "$PGDATA" /var/run/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
  fi
  mkdir -p "$PGDATA"
  chmod 0700 "$PGDATA" 2>/dev/null || true
  if [[ ! -s $PGDATA/PG_VERSION ]]; then
    from_file POSTGRES_PASSWORD
    from_file POSTGRES_USER
    from_file POSTGRES_DB
    from_file POSTGRES_INITDB_ARGS
    export POSTGRES_USER=${POSTGRES_USER:-postgres}
    export POSTGRES_DB=${POSTGRES_DB:-$POSTGRES_USER}
    initialise
  fi
  exec "$@"
}

main "$@"
