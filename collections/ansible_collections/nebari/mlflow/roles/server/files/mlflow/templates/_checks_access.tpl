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

{{/* On GKE, a service account's annotation is worth nothing without the metadata server. */}}
{{- define "mlflow.checks.identity" -}}
{{- $annotations := merge (dict) .Values.storage.service_account_annotations .Values.serviceAccount.annotations -}}
{{- if and .Values.networkPolicy.enabled (hasKey $annotations "iam.gke.io/gcp-service-account") (not .Values.storage.network.metadata) -}}
{{- fail "The service account has a Google identity (iam.gke.io/gcp-service-account), but storage.network.metadata lets the server reach no metadata server: set it to [{cidr: 169.254.169.254/32, port: 80}, {cidr: 169.254.169.254/32, port: 8080}, {cidr: 169.254.169.252/32, port: 987}, {cidr: 169.254.169.252/32, port: 988}]." -}}
{{- end -}}
{{- end }}
