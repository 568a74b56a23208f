{{/* What the chart sets, less what storage.env and tracking.extraEnvVars set themselves: names stay unique. */}}
{{- define "mlflow.tracking.env" -}}
{{- $more := list -}}
{{- range $name, $value := .Values.storage.env -}}
{{- $more = append $more (dict "name" $name "value" $value) -}}
{{- end -}}
{{- $entries := include "mlflow.tracking.ownEnv" . | fromYamlArray -}}
{{- range $added := list $more .Values.tracking.extraEnvVars -}}
{{- $names := list -}}
{{- range $added -}}{{- $names = append $names .name -}}{{- end -}}
{{- $kept := list -}}
{{- range $entries -}}
{{- if not (has .name $names) -}}{{- $kept = append $kept . -}}{{- end -}}
{{- end -}}
{{- $entries = concat $kept $added -}}
{{- end -}}
{{ toYaml $entries }}
{{- end }}

{{- define "mlflow.tracking.ownEnv" -}}
{{ include "mlflow.environment.common" . }}
- name: MLFLOW_LOGGING_LEVEL
  value: {{ .Values.tracking.logLevel }}
{{- if .Values.tracking.metrics.enabled }}
- name: POD_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
{{- end }}
- name: PGAPPNAME
  value: mlflow-server
{{ include "mlflow.database.env" . | trim }}
{{ include "mlflow.pool.env" . }}
{{ include "mlflow.environment.keys" . | trim }}
{{ include "mlflow.environment.restrictions" . }}
- name: PYTHONPATH
  value: {{ include "mlflow.tracking.appFolder" . }}
- name: NEBARI_MLFLOW_ARTIFACT_LOCATIONS
  value: {{ .Values.tracking.artifactLocations | toJson | quote }}
{{- if hasPrefix "s3://" .Values.storage.uri }}
{{ include "mlflow.tracking.s3Patience" . }}
{{- end }}
{{- end }}

{{/*
How long a thread waits for S3: 3 tries instead of 5, each of at most 60 s without a byte, so a transfer that goes on is
never cut off. MLflow offers no variable for the 60 s, and Google's and Azure's libraries read none.
*/}}
{{- define "mlflow.tracking.s3Patience" -}}
- name: AWS_RETRY_MODE
  value: standard
- name: AWS_MAX_ATTEMPTS
  value: "3"
{{- end }}
