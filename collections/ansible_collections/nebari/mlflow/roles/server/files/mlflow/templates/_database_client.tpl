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
{{- if $external.caSecret -}}
/mlflow/database-ca/ca.crt
{{- else if hasPrefix "verify-" $external.sslMode -}}
{{ include "mlflow.database.directory" . }}/roots.crt
{{- end -}}
{{- end }}
