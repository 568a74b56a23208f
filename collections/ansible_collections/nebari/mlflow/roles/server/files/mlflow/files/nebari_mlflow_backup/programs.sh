#!/bin/sh
# Runs PostgreSQL's programs for the other container of the pod, which asks through the pipe `requests`. It ends when the
# other side closes that pipe, and that is also when the other side is killed.
set -u
cd "${EXCHANGE:-/mlflow/exchange/open}" || exit 1
scratch="${SCRATCH:-/mlflow/scratch}"

log_in() {
  export PGSERVICEFILE="$PWD/service.conf" PGSERVICE=mlflow PGAPPNAME=mlflow-backup
  PGPASSWORD="$(cat password; echo x)"
  export PGPASSWORD="${PGPASSWORD%x}"
}

log_in_to_scratch() {
  unset PGSERVICEFILE PGSERVICE PGPASSWORD PGREQUIREAUTH PGSSLMODE PGSSLROOTCERT
  export PGHOST="$scratch/run" PGPORT=5433 PGUSER=postgres PGDATABASE=mlflow PGAPPNAME=mlflow-backup
}

# Compared with the default, level 1 takes 4 % more room and less than half the time.
dump() {
  log_in
  pg_dump --format=custom --compress=1 --no-owner --no-privileges --no-password --snapshot="$1" \
    --exclude-schema='nebari_mlflow_*' >data
}

load() {
  pg_restore --dbname="$1" --no-owner --no-privileges --no-password --single-transaction \
    --exit-on-error <data
}

# A server of this pod alone, on a volume that goes with it. It takes connections of the pod only.
start_scratch() {
  log_in_to_scratch
  rm -rf "$scratch/data" "$scratch/run" && mkdir -p "$scratch/run" &&
    initdb -D "$scratch/data" --username=postgres --auth=trust --no-sync >/dev/null &&
    pg_ctl -D "$scratch/data" -w -l "$scratch/log" start >/dev/null -o "-p 5433 -k $scratch/run \
      -c listen_addresses=127.0.0.1 -c fsync=off -c full_page_writes=off -c synchronous_commit=off \
      -c max_wal_size=1GB" &&
    createdb --maintenance-db=postgres mlflow
}

stop_scratch() {
  pg_ctl -D "$scratch/data" -m immediate -w stop >/dev/null 2>&1
  rm -rf "$scratch/data" "$scratch/run"
}

while read -r verb argument; do
  case "$verb" in
    dump) (dump "$argument") 2>errors ;;
    restore) (log_in; load service=mlflow) 2>errors ;;
    rehearse) (log_in_to_scratch; load mlflow) 2>errors ;;
    start) (start_scratch) 2>errors ;;
    stop) (stop_scratch) 2>errors ;;
    version) pg_dump --version >version 2>errors ;;
    *) echo "programs: error: unknown request $verb" >errors; false ;;
  esac
  echo $? >status.new
  mv -f status.new status
done <requests
[ -d "$scratch/data" ] && stop_scratch
exit 0
