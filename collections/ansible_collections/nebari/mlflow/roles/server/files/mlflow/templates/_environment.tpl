{{/* What every container in MLflow's image needs on a read-only root. */}}
{{- define "mlflow.environment.common" -}}
- name: HOME
  value: /tmp
- name: PYTHONUNBUFFERED
  value: "1"
- name: PYTHONDONTWRITEBYTECODE
  value: "1"
- name: MLFLOW_DISABLE_TELEMETRY
  value: {{ not .Values.tracking.telemetry | quote }}
{{- end }}

{{- define "mlflow.environment.keys" -}}
{{- $secret := include "mlflow.secrets.keys" . -}}
{{- range list "MLFLOW_CRYPTO_KEK_PASSPHRASE" "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY" "MLFLOW_FLASK_SERVER_SECRET_KEY" }}
- name: {{ . }}
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ . }}}}
{{- end }}
{{- end }}

{{/* Restricted by default. MLFLOW_ALLOW_MODEL_CODE_EXECUTION is read from 3.18 on, the other two before. */}}
{{- define "mlflow.environment.restrictions" -}}
{{- with .Values.tracking -}}
- name: MLFLOW_SERVER_ENABLE_JOB_EXECUTION
  value: {{ .jobExecution | quote }}
- name: MLFLOW_ENABLE_AI_GATEWAY
  value: {{ .aiGateway | quote }}
- name: MLFLOW_ALLOW_MODEL_CODE_EXECUTION
  value: {{ .modelCodeExecution | quote }}
- name: MLFLOW_ALLOW_PICKLE_DESERIALIZATION
  value: {{ .modelCodeExecution | quote }}
- name: MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS
  value: {{ .modelCodeExecution | quote }}
{{- end }}
- name: MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX
  value: {{ include "mlflow.modelVersionSourceRegex" . | quote }}
- name: MLFLOW_SERVER_ALLOWED_HOSTS
  value: {{ include "mlflow.allowedHosts" . | quote }}
{{- with include "mlflow.corsOrigins" . }}
- name: MLFLOW_SERVER_CORS_ALLOWED_ORIGINS
  value: {{ . | quote }}
{{- end }}
- name: MLFLOW_SERVER_X_FRAME_OPTIONS
  value: SAMEORIGIN
{{- end }}

{{/* Of who uses the server. Artifacts go through it: MLflow's client would else take them from the store by itself. */}}
{{- define "mlflow.client.environment" -}}
MLFLOW_TRACKING_URI: {{ include "mlflow.trackingUri" . }}
MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD: "false"
MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD: "false"
{{- end }}
