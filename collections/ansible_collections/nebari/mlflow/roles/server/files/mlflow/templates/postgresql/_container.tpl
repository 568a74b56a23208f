{{- define "mlflow.postgresql.container" -}}
name: postgresql
image: {{ include "mlflow.postgresql.image" . }}
imagePullPolicy: {{ .Values.postgresql.image.pullPolicy }}
command: [sh, /mlflow/scripts/start.sh]
args:
  - -clisten_addresses=*
  - -cmax_connections={{ .Values.postgresql.maxConnections }}
env:
  - {name: POSTGRES_PASSWORD_FILE, value: /mlflow/passwords/postgres-password}
  - {name: POSTGRES_HOST_AUTH_METHOD, value: scram-sha-256}
  - {name: POSTGRES_INITDB_ARGS, value: --data-checksums}
  - {name: CREDENTIALS_FROM, value: Secret {{ include "mlflow.postgresql.secret" . }}}
  - {name: PGDATA, value: /var/lib/postgresql/data/pgdata}
  - {name: MLFLOW_USER, value: {{ .Values.postgresql.auth.username }}}
  - {name: MLFLOW_DATABASE, value: {{ .Values.postgresql.auth.database }}}
ports:
  - {name: postgresql, containerPort: 5432, protocol: TCP}
{{- include "mlflow.postgresql.probes" . | nindent 0 }}
resources:
  {{- toYaml .Values.postgresql.primary.resources | nindent 2 }}
securityContext:
  {{- include "mlflow.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: data, mountPath: /var/lib/postgresql/data}
  - {name: scripts, mountPath: /mlflow/scripts, readOnly: true}
  - {name: scripts, mountPath: /docker-entrypoint-initdb.d/mlflow.sql, subPath: mlflow.sql, readOnly: true}
  - {name: passwords, mountPath: /mlflow/passwords, readOnly: true}
  - {name: run, mountPath: /var/run/postgresql}
  - {name: temporary, mountPath: /tmp}
  - {name: shared-memory, mountPath: /dev/shm}
{{- end }}

{{/*
Over TCP, because the first start's initialisation answers on the socket only. pg_isready ends with 1 while
the server starts or recovers, which may take long and is no reason to kill it; 2 is no answer. Each is a new
process in the container, so they are not frequent; MLflow's own readiness says within 5 s that the database is gone.
*/}}
{{- define "mlflow.postgresql.probes" -}}
startupProbe:
  exec: {command: [pg_isready, -q, -h, 127.0.0.1]}
  periodSeconds: 2
  failureThreshold: 900
  timeoutSeconds: 5
readinessProbe:
  exec: {command: [pg_isready, -q, -h, 127.0.0.1]}
  periodSeconds: 10
  timeoutSeconds: 5
livenessProbe:
  exec: {command: [sh, -c, "pg_isready -q -h 127.0.0.1; [ $? -lt 2 ]"]}
  periodSeconds: 20
  failureThreshold: 3
  timeoutSeconds: 10
lifecycle:
  preStop:
    exec: {command: [sh, -c, kill -INT 1]}
{{- end }}
