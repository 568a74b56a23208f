{{/* Every name that the chart gives or expects. The release's name is the prefix. */}}
{{- define "mlflow.tracking.name" -}}{{ .Release.Name }}-tracking{{- end }}
{{- define "mlflow.postgresql.name" -}}{{ .Release.Name }}-postgresql{{- end }}
{{- define "mlflow.migrate.name" -}}{{ .Release.Name }}-migrate{{- end }}
{{- define "mlflow.run.name" -}}{{ .Release.Name }}-run{{- end }}
{{- define "mlflow.verify.name" -}}{{ .Release.Name }}-verify{{- end }}
{{- define "mlflow.artifacts.name" -}}{{ .Release.Name }}-artifacts{{- end }}
{{- define "mlflow.secrets.keys" -}}{{ .Values.secrets.keys | default (printf "%s-keys" .Release.Name) }}{{- end }}

{{- define "mlflow.postgresql.secret" -}}
{{ .Values.postgresql.auth.existingSecret | default (include "mlflow.postgresql.name" .) }}
{{- end }}

{{- define "mlflow.run.configMap" -}}
{{ .Values.run.source.existingConfigMap | default (include "mlflow.run.name" .) }}
{{- end }}

{{- define "mlflow.trackingUri" -}}
http://{{ include "mlflow.tracking.name" . }}.{{ .Release.Namespace }}.svc:{{ .Values.tracking.service.port }}
{{- end }}
