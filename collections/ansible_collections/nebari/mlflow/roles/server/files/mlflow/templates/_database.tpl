{{/*
The database: how the server, the migration and the container before the server reach it, and the scripts that touch it.
*/}}
{{/*
The server's way to the database. What a Secret says of an external one never reaches the server, whose errors would
print it: the container before the server hands over, as a service file, the connection that worked.
*/}}
{{- define "mlflow.database.env" -}}
{{- if .Values.postgresql.enabled }}
{{- include "mlflow.database.ownEnv" . | trim }}
{{- else }}
- name: MLFLOW_BACKEND_STORE_URI
  value: postgresql+psycopg2:///?service=mlflow
- name: PGSERVICEFILE
  value: {{ include "mlflow.database.directory" . }}/service.conf
{{ include "mlflow.database.clientEnv" . | trim }}
{{- end }}
{{- end }}

{{/*
What the migration and the container before the server read: they check a URI before any driver sees it. A password by
itself never enters a URI: it comes as PGPASSWORD, so no character needs escaping.
*/}}
{{- define "mlflow.database.ownEnv" -}}
{{- $external := .Values.externalDatabase -}}
{{- if .Values.postgresql.enabled }}
{{- $auth := .Values.postgresql.auth }}
- name: MLFLOW_BACKEND_STORE_URI
  value: postgresql+psycopg2://{{ $auth.username }}@{{ include "mlflow.fullname" . }}-postgresql:5432/{{ $auth.database }}
- name: PGPASSWORD
  valueFrom: {secretKeyRef: {name: {{ include "mlflow.postgresqlSecret" . }}, key: password}}
{{ include "mlflow.environment.other" (list "PGPASSWORD" (include "mlflow.postgresqlSecret" .) "password") }}
{{- else if include "mlflow.database.byUri" . }}
- name: MLFLOW_BACKEND_STORE_URI
  valueFrom: {secretKeyRef: {name: {{ $external.existingSecret }}, key: {{ $external.existingSecretUriKey }}}}
{{- else }}
- name: MLFLOW_BACKEND_STORE_URI
  value: {{ include "mlflow.database.externalUri" . | quote }}
{{- with $external.existingSecretUserKey }}
- name: PGUSER
  valueFrom: {secretKeyRef: {name: {{ $external.existingSecret }}, key: {{ . }}}}
{{- end }}
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
{{- $separator := "?" -}}
{{- $external := .Values.externalDatabase -}}
{{- $login := ternary "" (printf "%s@" (include "mlflow.database.encoded" $external.user)) (ne $external.existingSecretUserKey "") -}}
{{- $host := ternary (printf "[%s]" $external.host) $external.host (contains ":" $external.host) -}}
postgresql://{{ $login }}{{ $host }}:{{ $external.port }}/{{ include "mlflow.database.encoded" $external.database }}
{{- range $name, $value := $external.parameters }}
{{- printf "%s%s=%s" $separator $name (include "mlflow.database.encoded" $value) }}
{{- $separator = "&" }}
{{- end -}}
{{- end }}

{{- define "mlflow.database.encoded" -}}
{{ toString . | urlquery | replace "+" "%20" }}
{{- end }}

{{/* A server that asks for the password in clear text, or by md5, gets nothing. */}}
{{- define "mlflow.database.clientEnv" -}}
- name: PGCONNECT_TIMEOUT
  value: "10"
{{- with ternary "scram-sha-256" .Values.externalDatabase.requireAuth .Values.postgresql.enabled }}
- name: PGREQUIREAUTH
  value: {{ . }}
{{- end }}
{{- end }}

{{- define "mlflow.database.byUri" -}}
{{- if and (not .Values.postgresql.enabled) .Values.externalDatabase.existingSecretUriKey -}}true{{- end -}}
{{- end }}

{{/* Where the pod keeps what only its own containers know: the system's authorities, the server's connection. */}}
{{- define "mlflow.database.directory" -}}/mlflow/database{{- end }}

{{- define "mlflow.database.roots" -}}
{{- $external := .Values.externalDatabase -}}
{{- if or $external.caSecret $external.caConfigMap -}}
/mlflow/database-ca/ca.crt
{{- else if hasPrefix "verify-" $external.sslMode -}}
{{ include "mlflow.database.directory" . }}/roots.crt
{{- end -}}
{{- end }}

{{/* List of the root and whether the pod's own directory is read-only in this container. */}}
{{- define "mlflow.database.mounts" -}}
{{- $root := first . -}}
{{- if not $root.Values.postgresql.enabled }}
- {name: database, mountPath: {{ include "mlflow.database.directory" $root }}, readOnly: {{ last . }}}
{{- if or $root.Values.externalDatabase.caSecret $root.Values.externalDatabase.caConfigMap }}
- {name: database-ca, mountPath: /mlflow/database-ca, readOnly: true}
{{- end }}
{{- end }}
{{- end }}

{{/* In memory: what is in it may hold the password. */}}
{{- define "mlflow.database.volumes" -}}
{{- if not .Values.postgresql.enabled }}
- name: database
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
{{- with .Values.externalDatabase }}
{{- if .caSecret }}
- name: database-ca
  secret: {secretName: {{ .caSecret }}, defaultMode: {{ include "mlflow.secretMode" $ }}, items: [{key: {{ .caKey }}, path: ca.crt}]}
{{- else if .caConfigMap }}
- name: database-ca
  configMap: {name: {{ .caConfigMap }}, defaultMode: 0444, items: [{key: {{ .caKey }}, path: ca.crt}]}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "mlflow.environment.keys" -}}
{{- $secret := include "mlflow.keysSecret" . -}}
{{- range list "MLFLOW_CRYPTO_KEK_PASSPHRASE" "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY" "MLFLOW_FLASK_SERVER_SECRET_KEY" }}
- name: {{ . }}
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ . }}}}
{{- end }}
{{- range list "MLFLOW_CRYPTO_KEK_PASSPHRASE" "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY" }}
{{ include "mlflow.environment.other" (list . $secret .) }}
{{- end }}
{{- end }}

{{/*
A value's other one, as long as a rotation runs: the next one first, then the one before. Call with (list NAME Secret key).
*/}}
{{- define "mlflow.environment.other" -}}
- name: NEBARI_MLFLOW_OTHER_{{ first . }}
  valueFrom: {secretKeyRef: {name: {{ index . 1 }}, key: other.{{ last . }}, optional: true}}
{{- end }}

{{/* The scripts of files/ that touch the database. */}}
{{- define "mlflow.migrate.scripts" -}}
{{- range $name := list "mlflow_uri.py" "mlflow_causes.py" "mlflow_tls.py" "mlflow_schema.py" "mlflow_keys.py" "mlflow_permissions.py" "mlflow_indexes.py" "migrate.py" "wait_for_schema.py" }}
{{ $name }}: |
  {{- $.Files.Get (printf "files/%s" $name) | nindent 2 }}
{{- end }}
{{- end }}

{{- define "mlflow.migrate.env" -}}
{{ include "mlflow.environment.common" . }}
- name: MLFLOW_IMAGE
  value: {{ include "mlflow.image" . }}
- name: TIMEOUT_SECONDS
  value: {{ .Values.migrate.timeoutSeconds | quote }}
{{ include "mlflow.database.ownEnv" . | trim }}
{{- if not .Values.postgresql.enabled }}
- name: DATABASE_ROOTS
  value: {{ include "mlflow.database.directory" . }}/roots.crt
- name: SERVICE_FILE
  value: {{ include "mlflow.database.directory" . }}/service.conf
{{- end }}
{{- if include "mlflow.database.byUri" . }}
- name: DATABASE_URI_FROM
  value: {{ printf "Secret %s, key %s" .Values.externalDatabase.existingSecret .Values.externalDatabase.existingSecretUriKey | quote }}
{{- end }}
{{ include "mlflow.environment.keys" . | trim }}
- name: CREDENTIALS_FROM
  value: Secret {{ include "mlflow.keysSecret" . }}
{{- if include "mlflow.access.users" . }}
- name: PERMISSIONS
  value: "true"
{{- end }}
- name: ACCEPT_UNREADABLE_ROWS
  value: {{ .Values.secrets.acceptLostKeys | quote }}
{{- end }}

{{- define "mlflow.migrate.volumeMounts" -}}
- {name: scripts, mountPath: /mlflow/scripts, readOnly: true}
- {name: temporary, mountPath: /tmp}
{{- with include "mlflow.database.mounts" (list . false) | trim }}
{{- . | nindent 0 }}
{{- end }}
{{- end }}
