{{- define "mlflow.tracking.container" -}}
name: tracking
image: {{ include "mlflow.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: [mlflow, server]
args:
  {{- include "mlflow.tracking.args" . | nindent 2 }}
env:
  {{- include "mlflow.tracking.env" . | nindent 2 }}
{{- if or .Values.storage.secret .Values.tracking.extraEnvFrom }}
envFrom:
  {{- with .Values.storage.secret }}
  - secretRef: {name: {{ . }}}
  {{- end }}
  {{- with .Values.tracking.extraEnvFrom }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
ports:
  - {name: http, containerPort: 5000, protocol: TCP}
{{- include "mlflow.tracking.probes" . | nindent 0 }}
resources:
  {{- toYaml .Values.tracking.resources | nindent 2 }}
securityContext:
  {{- include "mlflow.containerSecurity" . | nindent 2 }}
volumeMounts:
  {{- include "mlflow.tracking.volumeMounts" . | nindent 2 }}
{{- end }}

{{- define "mlflow.tracking.args" -}}
- --host=0.0.0.0
- --port=5000
- --workers={{ include "mlflow.workers" . }}
- --serve-artifacts
- --artifacts-destination={{ .Values.storage.uri }}
- --app-name=nebari-mlflow
{{- if .Values.tracking.metrics.enabled }}
- --expose-prometheus=/tmp/metrics
{{- end }}
{{- with .Values.tracking.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}
