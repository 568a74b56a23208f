{{/* The scripts of files/ that touch the database. */}}
{{- define "mlflow.migrate.scripts" -}}
{{- range $name := list "mlflow_schema.py" "migrate.py" "wait_for_schema.py" }}
{{ $name }}: |
  {{- $.Files.Get (printf "files/%s" $name) | nindent 2 }}
{{- end }}
{{- end }}

{{- define "mlflow.migrate.env" -}}
{{ include "mlflow.environment.common" . }}
- name: TIMEOUT_SECONDS
  value: {{ .Values.migrate.timeoutSeconds | quote }}
{{ include "mlflow.database.env" . | trim }}
{{- end }}

{{- define "mlflow.migrate.volumeMounts" -}}
- {name: scripts, mountPath: /mlflow/scripts, readOnly: true}
- {name: temporary, mountPath: /tmp}
{{- with include "mlflow.database.volumeMounts" . | trim }}
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
resources:
  requests: {cpu: 10m, memory: 32Mi, ephemeral-storage: 8Mi}
  limits: {cpu: "1", memory: 128Mi, ephemeral-storage: 64Mi}
securityContext:
  {{- include "mlflow.containerSecurity" . | nindent 2 }}
volumeMounts:
  {{- include "mlflow.migrate.volumeMounts" . | nindent 2 }}
{{- end }}
