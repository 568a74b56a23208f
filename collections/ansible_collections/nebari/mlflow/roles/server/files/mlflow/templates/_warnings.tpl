{{/* Choices that are allowed and may surprise; one a line, shown after an install. */}}
{{- define "mlflow.warnings" -}}
{{- if not .Values.networkPolicy.enabled }}
networkPolicy.enabled is false: every pod of the cluster can read and change everything in MLflow, which has no login.
{{- end }}
{{- if .Values.route.externalAuthentication }}
route.externalAuthentication is true: nothing that this chart makes asks for a login at {{ .Values.route.domain }}.
{{- end }}
{{- if eq .Values.tracking.strategy.type "RollingUpdate" }}
tracking.strategy.type is RollingUpdate: an upgrade to another database schema waits until the server is scaled to 0.
{{- end }}
{{- if .Values.tracking.modelCodeExecution }}
tracking.modelCodeExecution is true: code of anybody who can register a model runs in the server.
{{- end }}
{{- include "mlflow.warnings.database" . }}
{{- if ne .Values.tracking.service.type "ClusterIP" }}
tracking.service.type is {{ .Values.tracking.service.type }}: the server is reachable from outside the cluster without a login, as far as networkPolicy lets it.
{{- end }}
{{- end }}

{{- define "mlflow.warnings.database" -}}
{{- $external := .Values.externalDatabase -}}
{{- if not .Values.postgresql.enabled }}
{{- if not (or (eq $external.sslMode "verify-full") (and $external.caSecret (has $external.sslMode (list "require" "verify-ca")))) }}
externalDatabase.sslMode is {{ $external.sslMode }}: whoever answers at the database's address can read and change everything in it. Use verify-full, with the authority's certificate in caSecret if it is your own.
{{- end }}
{{- if ne $external.requireAuth "scram-sha-256" }}
externalDatabase.requireAuth is {{ $external.requireAuth | default "empty" }}: a server that is not the database may get the password, or enough to guess it. Store it as SCRAM and use scram-sha-256.
{{- end }}
{{- end }}
{{- if .Values.secrets.acceptLostKeys }}
secrets.acceptLostKeys is true: a migration disables webhooks whose secret it cannot decrypt. Remove it once the server is ready.
{{- end }}
{{- end }}
