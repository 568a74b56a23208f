{{/*
Allowed choices that may surprise, one a line. NOTES.txt shows them.
*/}}
{{- define "mlflow.warnings" -}}
{{- if not .Values.networkPolicy.enabled }}
networkPolicy.enabled is false: every pod of the cluster can read and change everything in MLflow, which has no login.
{{- end }}
{{- if .Values.route.externalAuthentication }}
route.externalAuthentication is true: nothing that this chart creates asks for a login at {{ .Values.route.domain }}.
{{- end }}
{{- if and .Values.networkPolicy.enabled (hasPrefix "gs://" .Values.storage.uri) (not .Values.storage.secret) (not .Values.storage.network.metadata) }}
storage.network.metadata is empty and storage.secret too: on GKE, the server reaches no metadata server, so it gets no identity. The README has the addresses.
{{- end }}
{{- if eq .Values.tracking.strategy.type "RollingUpdate" }}
tracking.strategy.type is RollingUpdate: an upgrade to another database schema waits until the server is scaled to 0.
{{- end }}
{{- if .Values.tracking.modelCodeExecution }}
tracking.modelCodeExecution is true: anyone who can register a model can run code in the server.
{{- end }}
{{- include "mlflow.warnings.tokens" . }}
{{- include "mlflow.warnings.database" . }}
{{- if ne .Values.tracking.service.type "ClusterIP" }}
tracking.service.type is {{ .Values.tracking.service.type }}: the server is reachable from outside the cluster without a login, as far as networkPolicy lets it.
{{- end }}
{{- end }}

{{/* An Ingress has one rule for all requests to a path. */}}
{{- define "mlflow.warnings.tokens" -}}
{{- if and (eq .Values.route.type "ingress") (include "mlflow.access.users" .) }}
{{- range $name, $_ := .Values.route.ingress.annotations }}
{{- if regexMatch "(auth-url|auth-signin|auth-type|router\\.middlewares|/middlewares|auth-tls-secret)$" $name }}
route.ingress.annotations has {{ $name }}: an Ingress cannot tell programs with a token from browsers, so if this asks for a login, it refuses their tokens. The server itself can send browsers to the login: set access.login.url, and remove the annotation.
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "mlflow.warnings.database" -}}
{{- $external := .Values.externalDatabase -}}
{{- if not .Values.postgresql.enabled }}
{{- if not (or (eq $external.sslMode "verify-full") (and (or $external.caSecret $external.caConfigMap) (has $external.sslMode (list "require" "verify-ca")))) }}
externalDatabase.sslMode is {{ $external.sslMode }}: whoever answers at the database's address can read and change everything in it. Use verify-full, with the authority's certificate in caSecret or caConfigMap if it is your own.
{{- end }}
{{- if ne $external.requireAuth "scram-sha-256" }}
externalDatabase.requireAuth is {{ $external.requireAuth | default "empty" }}: a server that is not the database may get the password, or enough to guess it. Store it as SCRAM and use scram-sha-256.
{{- end }}
{{- end }}
{{- if .Values.secrets.acceptLostKeys }}
secrets.acceptLostKeys is true: a migration disables webhooks whose secret it cannot decrypt. Remove it once the server is ready.
{{- end }}
{{- end }}
