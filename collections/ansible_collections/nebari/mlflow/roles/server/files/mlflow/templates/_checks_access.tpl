{{- define "mlflow.checks.hasRedis" -}}
{{- range .Values.tracking.extraEnvVars -}}
{{- if eq .name "MLFLOW_SERVER_JOB_HUEY_REDIS_URL" -}}true{{- end -}}
{{- end -}}
{{- end }}

{{- define "mlflow.checks.route" -}}
{{- $route := .Values.route -}}
{{- if ne $route.type "none" -}}
{{- if not $route.domain -}}
{{- fail (printf "route.type is %q but route.domain is empty: set it to the UI's host name, such as mlflow.example.org." $route.type) -}}
{{- end -}}
{{- include "mlflow.checks.login" . -}}
{{- $prefix := include "mlflow.route.prefix" . -}}
{{- if and (eq $route.type "nebariapp") $prefix -}}
{{- fail (printf "route.path %q: a NebariApp cannot strip a prefix; set route.path to / and give MLflow a host name of its own." $route.path) -}}
{{- end -}}
{{- if and (eq $route.type "ingress") $prefix (not $route.ingress.annotations) -}}
{{- fail (printf "route.path %q: an Ingress strips a prefix only by its controller's annotations; set route.ingress.annotations (README), or route.path to / and a host name of its own." $route.path) -}}
{{- end -}}
{{- if and (eq $route.type "gateway") (not $route.gateway.parentRefs) -}}
{{- fail "route.gateway.parentRefs is empty: name the Gateway that the HTTPRoute belongs to, such as [{name: public, namespace: gateways}]." -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* MLflow has no login of its own, so a route without one in front of it would be open to everyone. */}}
{{- define "mlflow.checks.login" -}}
{{- $route := .Values.route -}}
{{- $login := or $route.externalAuthentication (and (eq $route.type "traefik") $route.traefik.forwardAuth.name) -}}
{{- $login = or $login (and (eq $route.type "nebariapp") $route.nebariapp.auth.enabled) -}}
{{- if not $login -}}
{{- $way := get (dict "traefik" "set route.traefik.forwardAuth.name" "nebariapp" "set route.nebariapp.auth.enabled" "ingress" "have the Ingress controller ask for a login (route.ingress.annotations)" "gateway" "attach a policy to the HTTPRoute that asks for a login") $route.type -}}
{{- fail (printf "route.type %q would open MLflow to everyone who reaches %s: %s. Where something that the chart cannot see asks for the login, set route.externalAuthentication to true." $route.type $route.domain $way) -}}
{{- end -}}
{{- end }}

{{/* Variables with which MLflow refuses to start, or that would undo what the chart computes. */}}
{{- define "mlflow.checks.environment" -}}
{{- $refused := dict "MLFLOW_WORKSPACE" "it belongs to clients and the server does not start with it" "MLFLOW_DEFAULT_ARTIFACT_ROOT" "clients would go past the server to the store; use storage.uri" -}}
{{- $_ := set $refused "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE" "it switches host and origin checks off; use tracking.allowedHosts and tracking.corsAllowedOrigins" -}}
{{- $_ := set $refused "MLFLOW_SERVER_ALLOWED_HOSTS" "it is computed; use tracking.allowedHosts" -}}
{{- $_ := set $refused "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS" "it is computed; use tracking.corsAllowedOrigins" -}}
{{- $names := keys .Values.storage.env -}}
{{- range .Values.tracking.extraEnvVars -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- range $name := $names -}}
{{- with get $refused $name -}}
{{- fail (printf "tracking.extraEnvVars and storage.env must not set %s: %s." $name .) -}}
{{- end -}}
{{- end -}}
{{- end }}
