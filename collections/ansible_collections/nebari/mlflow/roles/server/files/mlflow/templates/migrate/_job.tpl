{{/* The scripts of files/ that touch the database. */}}
{{- define "mlflow.migrate.scripts" -}}
{{- range $name := list "mlflow_uri.py" "mlflow_tls.py" "mlflow_schema.py" "mlflow_keys.py" "migrate.py" "wait_for_schema.py" }}
{{ $name }}: |
  {{- $.Files.Get (printf "files/%s" $name) | nindent 2 }}
{{- end }}
{{- end }}

{{- define "mlflow.migrate.env" -}}
{{ include "mlflow.environment.common" . }}
- name: TIMEOUT_SECONDS
  value: {{ .Values.migrate.timeoutSeconds | quote }}
{{ include "mlflow.database.ownEnv" . | trim }}
{{- if not .Values.postgresql.enabled }}
- name: DATABASE_ROOTS
  value: {{ include "mlflow.database.directory" . }}/roots.crt
{{- end }}
{{- if include "mlflow.database.byUri" . }}
- name: DATABASE_URI_FROM
  value: {{ printf "Secret %s, key %s" .Values.externalDatabase.existingSecret .Values.externalDatabase.existingSecretUriKey | quote }}
{{- end }}
{{ include "mlflow.environment.keys" . | trim }}
- name: CREDENTIALS_FROM
  value: Secret {{ include "mlflow.secrets.keys" . }}
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

{{/* Starts before the server and lets it start only on the schema that it was written for. */}}
{{- define "mlflow.migrate.waitContainer" -}}
name: wait-for-schema
image: {{ include "mlflow.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: [python3, /mlflow/scripts/wait_for_schema.py]
env:
  {{- include "mlflow.migrate.env" . | nindent 2 }}
  - name: PGAPPNAME
    value: mlflow-wait-for-schema
  {{- if include "mlflow.database.byUri" . }}
  - name: SERVICE_FILE
    value: {{ include "mlflow.database.directory" . }}/service.conf
  {{- end }}
resources:
  requests: {cpu: 10m, memory: 32Mi, ephemeral-storage: 8Mi}
  limits: {cpu: "1", memory: 128Mi, ephemeral-storage: 64Mi}
securityContext:
  {{- include "mlflow.containerSecurity" . | nindent 2 }}
volumeMounts:
  {{- include "mlflow.migrate.volumeMounts" . | nindent 2 }}
{{- end }}
