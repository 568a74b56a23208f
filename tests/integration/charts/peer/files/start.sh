data=/bitnami/postgresql/data
umask 077
printf 'local all all trust\nhost all all all scram-sha-256\n' >/tmp/pg_hba.conf
: >/tmp/postgresql.conf
: >/tmp/pg_ident.conf
settings="-c config_file=/tmp/postgresql.conf -c hba_file=/tmp/pg_hba.conf -c ident_file=/tmp/pg_ident.conf"
if [ ! -s "$data/PG_VERSION" ]; then
  initdb -D "$data" --username postgres --encoding UTF8 >/dev/null
  rm "$data/postgresql.conf" "$data/pg_hba.conf" "$data/pg_ident.conf"
  pg_ctl -D "$data" -w -o "$settings -c listen_addresses= -c unix_socket_directories=/tmp" start >/dev/null
  psql -h /tmp -U postgres -v ON_ERROR_STOP=1 -v user="$OLD_USER" -v database="$OLD_DATABASE" \
    -v password="$(cat "$POSTGRES_PASSWORD_FILE")" <<'SQL'
CREATE ROLE :"user" LOGIN PASSWORD :'password';
CREATE DATABASE :"database" OWNER :"user";
SQL
  pg_ctl -D "$data" -w stop >/dev/null
fi
exec postgres -D "$data" $settings -c listen_addresses='*' -c unix_socket_directories=/tmp
