#!/bin/sh
# Starts PostgreSQL through the image's own entrypoint. A first start that was cut off leaves a half-made
# directory, which the entrypoint would take for a finished one. The mark is there only until
# initialisation ends, and no client can connect before that: what is removed here never held data.
set -eu
volume="${PGDATA%/*}"

# A pod that was deleted by force is replaced while its PostgreSQL still stops, and two on one directory ruin it.
# PostgreSQL's own lock file tells only of processes of its own container. This lock is the directory's, held until the
# last process of this container ends; where the volume knows no locks, it starts without.
if command -v flock >/dev/null 2>&1; then
  exec 9<"$volume"
  if ! flock -n 9; then
    echo "start: another PostgreSQL still runs on this volume; waiting for its end"
    flock 9 || :
  fi
fi

# A new database is made on an empty volume only: another chart's files may be data of others.
if [ ! -e "$PGDATA" ]; then
  for other in "$volume"/*; do
    case "$other" in
      "$volume/*" | */lost+found | */initialising) ;;
      *)
        echo "start: ERROR: the volume holds $other, which is not of this database. Nothing was changed." \
          "Fix: deploy under another name, or remove the claim if nothing of value is left on it." >&2
        exit 78
        ;;
    esac
  done
fi

mark="$volume/initialising"
passwords=${POSTGRES_PASSWORD_FILE%/*}

for key in postgres-password password; do
  if [ -z "$(cat "$passwords/$key" 2>/dev/null)" ]; then
    echo "start: ERROR: $CREDENTIALS_FROM holds no password under the key $key. Nothing was changed." \
      "Fix: put the Secret back from a backup, or deploy with a new one." >&2
    exit 78
  fi
done

# Who is in the pod as PostgreSQL's own user needs no password on the socket; everybody else needs one
# everywhere, also on the loopback, which `kubectl port-forward` reaches.
socket=peer
if [ "$(id -un 2>/dev/null)" != postgres ]; then
  socket=scram-sha-256  # an image in which this uid has another name, or none
fi
export POSTGRES_INITDB_ARGS="${POSTGRES_INITDB_ARGS:-} --auth-local=$socket --auth-host=scram-sha-256"

access() {
  echo "# Written by start.sh at every start."
  echo "local all all $socket"
  echo "local replication all $socket"
  echo "host all all all scram-sha-256"
}

# A password as it stands between E'...': no character ends the literal, nor the dollar quotes around it.
literal() {
  sed -e 's/\\/\\\\/g' -e "s/'/''/g" -e 's/\$/\\x24/g' "$passwords/$1"
}

passwords_of_roles() {
  printf '%s\n' 'DO $do$ DECLARE role text; password text; BEGIN' \
    "FOR role, password IN VALUES ('postgres', E'$(literal postgres-password)'), ('$MLFLOW_USER', E'$(literal password)')" \
    'LOOP IF EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN' \
    "EXECUTE format('ALTER ROLE %I PASSWORD %L', role, password);" \
    'END IF; END LOOP; END $do$;'
}

# Runs a program that asks for its user's name. A user that the platform chose may have none in the image; the official one
# brings a library that gives it one, and uses it for the initialisation.
with_name() {
  if ! id -un >/dev/null 2>&1; then
    for library in /usr/lib/*/libnss_wrapper.so /usr/lib/libnss_wrapper.so; do
      if [ -s "$library" ]; then
        echo "postgres:x:$(id -u):$(id -g):PostgreSQL:$PGDATA:/bin/false" >/tmp/passwd
        echo "postgres:x:$(id -g):" >/tmp/group
        LD_PRELOAD="$library" NSS_WRAPPER_PASSWD=/tmp/passwd NSS_WRAPPER_GROUP=/tmp/group "$@"
        return
      fi
    done
  fi
  "$@"
}

# One process on the data and no network: nobody can connect meanwhile, and a kill leaves what a crash leaves.
# Whatever the data's own settings say, the statement must not be logged.
align() {
  passwords_of_roles | with_name postgres --single -j -D "$PGDATA" -c exit_on_error=on -c password_encryption=scram-sha-256 \
    -c log_min_error_statement=panic -c log_error_verbosity=terse -c log_statement=none \
    -c log_min_duration_statement=-1 -c log_min_duration_sample=-1 -c log_transaction_sample_rate=0 \
    -c shared_preload_libraries= -c session_preload_libraries= -c local_preload_libraries= \
    template1 >/dev/null
}

if [ -e "$mark" ]; then
  echo "start: the first start was interrupted; starting it over"
  rm -rf "$PGDATA"
fi
if [ -s "$PGDATA/PG_VERSION" ]; then
  access >"$PGDATA/pg_hba.conf.new"
  mv -f "$PGDATA/pg_hba.conf.new" "$PGDATA/pg_hba.conf"
  if ! align; then
    echo "start: WARNING: the passwords of $CREDENTIALS_FROM could not be set; the data keeps its own." >&2
  fi
else
  : >"$mark"
fi
exec docker-entrypoint.sh postgres "$@"
