{{/*
The server's way to the database. A password by itself never enters a URI: libpq takes it from PGPASSWORD, so no
character needs escaping. A URI out of a Secret never reaches the server, whose errors would print it: the
container before the server hands over, as a service file, the connection that worked.
*/}}
{{- define "mlflow.database.env" -}}
{{- if include "mlflow.database.byUri" . }}
- name: MLFLOW_BACKEND_STORE_URI
  value: postgresql+psycopg2:///?service=mlflow
- name: PGSERVICEFILE
  value: {{ include "mlflow.database.directory" . }}/service.conf
{{ include "mlflow.database.clientEnv" . | trim }}
{{- else }}
{{- include "mlflow.database.ownEnv" . | trim }}
{{- end }}
{{- end }}

{{/* What the migration and the container before the server read: they check a URI before any driver sees it. */}}
{{- define "mlflow.database.ownEnv" -}}
{{- $external := .Values.externalDatabase -}}
{{- if .Values.postgresql.enabled }}
{{- $auth := .Values.postgresql.auth }}
- name: MLFLOW_BACKEND_STORE_URI
  value: postgresql+psycopg2://{{ $auth.username }}@{{ include "mlflow.postgresql.name" . }}:5432/{{ $auth.database }}
- name: PGPASSWORD
  valueFrom: {secretKeyRef: {name: {{ include "mlflow.postgresql.secret" . }}, key: password}}
{{- else if include "mlflow.database.byUri" . }}
- name: MLFLOW_BACKEND_STORE_URI
  valueFrom: {secretKeyRef: {name: {{ $external.existingSecret }}, key: {{ $external.existingSecretUriKey }}}}
{{- else }}
- name: MLFLOW_BACKEND_STORE_URI
  value: {{ include "mlflow.database.externalUri" . }}
- name: PGPASSWORD
  valueFrom: {secretKeyRef: {name: {{ $external.existingSecret }}, key: {{ $external.existingSecretPasswordKey }}}}
{{- end }}
{{- if not .Values.postgresql.enabled }}
- name: PGSSLMODE
  value: {{ $external.sslMode }}
{{- with include "mlflow.database.roots" . }}
- name: PGSSLROOTCERT
  value: {{ . }}
{{- end }}
{{- end }}
{{ include "mlflow.database.clientEnv" . | trim }}
{{- end }}

{{- define "mlflow.database.externalUri" -}}
{{- $external := .Values.externalDatabase -}}
postgresql+psycopg2://{{ $external.user | urlquery | replace "+" "%20" }}@{{ $external.host }}:{{ $external.port }}/{{ $external.database | urlquery | replace "+" "%20" }}
{{- end }}
