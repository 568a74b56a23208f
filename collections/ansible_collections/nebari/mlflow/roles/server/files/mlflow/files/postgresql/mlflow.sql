-- Runs once, on an empty data directory: MLflow's own role, which owns MLflow's own database.
\getenv role MLFLOW_USER
\getenv database MLFLOW_DATABASE
\set password `cat /mlflow/passwords/password`
-- A statement that fails is logged in full; this one holds a password.
SET log_min_error_statement = panic;
SELECT format('CREATE ROLE %I LOGIN', :'role')
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
ALTER ROLE :"role" PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'role')
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
\! rm -f "${PGDATA%/*}/initialising"
