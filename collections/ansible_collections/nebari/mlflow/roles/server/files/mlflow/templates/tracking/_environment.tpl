{{- define "mlflow.tracking.env" -}}
{{ include "mlflow.environment.common" . }}
- name: MLFLOW_LOGGING_LEVEL
  value: {{ .Values.tracking.logLevel }}
{{- if .Values.tracking.metrics.enabled }}
- name: POD_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
{{- end }}
- name: PGAPPNAME
  value: mlflow-server
{{- include "mlflow.database.env" . | nindent 0 }}
{{ include "mlflow.pool.env" . }}
{{- include "mlflow.environment.keys" . | nindent 0 }}
{{ include "mlflow.environment.restrictions" . }}
{{- range $name, $value := .Values.storage.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- with .Values.tracking.extraEnvVars }}
{{ toYaml . }}
{{- end }}
{{- end }}
