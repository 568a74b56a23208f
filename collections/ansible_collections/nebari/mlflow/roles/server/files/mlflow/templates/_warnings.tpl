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
{{- if ne .Values.tracking.service.type "ClusterIP" }}
tracking.service.type is {{ .Values.tracking.service.type }}: the server is reachable from outside the cluster without a login, as far as networkPolicy lets it.
{{- end }}
{{- end }}
