{{/* The password never enters a URI: libpq takes it from PGPASSWORD, so no character needs escaping. */}}
{{- define "mlflow.database.env" -}}
{{- $external := .Values.externalDatabase -}}
{{- if .Values.postgresql.enabled }}
{{- $auth := .Values.postgresql.auth }}
- name: MLFLOW_BACKEND_STORE_URI
  value: postgresql+psycopg2://{{ $auth.username }}@{{ include "mlflow.postgresql.name" . }}:5432/{{ $auth.database }}
- name: PGPASSWORD
  valueFrom: {secretKeyRef: {name: {{ include "mlflow.postgresql.secret" . }}, key: password}}
{{- else if $external.existingSecretUriKey }}
- name: MLFLOW_BACKEND_STORE_URI
  valueFrom: {secretKeyRef: {name: {{ $external.existingSecret }}, key: {{ $external.existingSecretUriKey }}}}
{{- else }}
- name: MLFLOW_BACKEND_STORE_URI
  value: {{ include "mlflow.database.externalUri" . }}
- name: PGPASSWORD
  valueFrom: {secretKeyRef: {name: {{ $external.existingSecret }}, key: {{ $external.existingSecretPasswordKey }}}}
{{- end }}
- name: PGCONNECT_TIMEOUT
  value: "10"
{{- if not .Values.postgresql.enabled }}
- name: PGSSLMODE
  value: {{ $external.sslMode }}
{{- if $external.caSecret }}
- name: PGSSLROOTCERT
  value: /mlflow/database-ca/ca.crt
{{- end }}
{{- end }}
{{- end }}

{{- define "mlflow.database.externalUri" -}}
{{- $external := .Values.externalDatabase -}}
postgresql+psycopg2://{{ $external.user | urlquery | replace "+" "%20" }}@{{ $external.host }}:{{ $external.port }}/{{ $external.database | urlquery | replace "+" "%20" }}
{{- end }}

{{- define "mlflow.database.volumeMounts" -}}
{{- if and (not .Values.postgresql.enabled) .Values.externalDatabase.caSecret }}
- name: database-ca
  mountPath: /mlflow/database-ca
  readOnly: true
{{- end }}
{{- end }}

{{- define "mlflow.database.volumes" -}}
{{- if and (not .Values.postgresql.enabled) .Values.externalDatabase.caSecret }}
- name: database-ca
  secret: {secretName: {{ .Values.externalDatabase.caSecret }}, defaultMode: 0440}
{{- end }}
{{- end }}
