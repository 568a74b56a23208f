PGPASSWORD=$(cat "${POSTGRES_PASSWORD_FILE:-/opt/bitnami/postgresql/secrets/password}" 2>/dev/null || printf %s "${POSTGRES_PASSWORD:-}")
export PGPASSWORD
psql -XqAt -h 127.0.0.1 -U "$1" -d "$2" -c "SELECT (SELECT count(*) FROM experiments), (SELECT count(*) FROM runs), (SELECT count(*) FROM metrics), (SELECT count(*) FROM registered_models), (SELECT count(*) FROM model_versions), pg_database_size(current_database()), current_setting(\$\$server_version\$\$)"
