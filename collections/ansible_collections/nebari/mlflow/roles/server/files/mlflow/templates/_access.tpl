{{/*
Who may use the server, and as whom: what the server's application reads, and what it must reach to find out.
*/}}
{{/* How people are known, for the application in front of MLflow. Tokens come from Secrets. */}}
{{- define "mlflow.access.settings" -}}
{{- $access := .Values.access -}}
{{- $settings := dict "default_permission" $access.defaultPermission "admin_groups" $access.adminGroups "groups" $access.groups "teams" $access.teams "remember_seconds" $access.rememberSeconds "log" $access.log "metrics" .Values.tracking.metrics.enabled -}}
{{- with $access.jupyterhub.url -}}
{{- $_ := set $settings "hub" (dict "url" .) -}}
{{- end -}}
{{- if $access.login.url -}}
{{- $login := dict "url" $access.login.url "user_header" $access.login.userHeader "groups_header" $access.login.groupsHeader "sign_in" $access.login.signInUrl "host" .Values.route.domain "scheme" (ternary "https" "http" .Values.route.tls) "path" (printf "%s/" (.Values.route.path | trimSuffix "/")) -}}
{{- $_ := set $settings "login" $login -}}
{{- end -}}
{{- if $access.kubernetes.enabled -}}
{{- $_ := set $settings "cluster" (pick $access.kubernetes "audience" "namespaces") -}}
{{- end -}}
{{- $providers := list -}}
{{- range $access.openid -}}
{{- $provider := pick . "issuer" "audience" "clients" -}}
{{- with .usernameClaim -}}{{- $_ := set $provider "username_claim" . -}}{{- end -}}
{{- with .groupsClaim -}}{{- $_ := set $provider "groups_claim" . -}}{{- end -}}
{{- with .jwksUri -}}{{- $_ := set $provider "jwks_uri" . -}}{{- end -}}
{{- $providers = append $providers $provider -}}
{{- end -}}
{{- with $providers -}}{{- $_ := set $settings "openid" . -}}{{- end -}}
{{ toJson $settings }}
{{- end }}

{{- define "mlflow.access.env" -}}
{{- if include "mlflow.access.users" . }}
- name: NEBARI_MLFLOW_ACCESS
  value: {{ include "mlflow.access.settings" . | quote }}
- name: NEBARI_MLFLOW_SERVICE_TOKEN
  valueFrom: {secretKeyRef: {name: {{ include "mlflow.access.secret" . }}, key: token}}
{{- with .Values.access.jupyterhub.tokenSecret }}
{{- if .name }}
- name: NEBARI_MLFLOW_HUB_TOKEN
  valueFrom: {secretKeyRef: {name: {{ .name }}, key: {{ .key }}}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* JupyterHub's own NetworkPolicy lets pods with this label reach its API. */}}
{{- define "mlflow.access.podLabels" -}}
{{- if and (include "mlflow.access.users" .) .Values.access.jupyterhub.url }}
hub.jupyter.org/network-access-hub: "true"
{{- end }}
{{- end }}

{{- define "mlflow.access.reviewsTokens" -}}
{{- if and (include "mlflow.access.users" .) .Values.access.kubernetes.enabled -}}true{{- end -}}
{{- end }}

{{/* A token for Kubernetes' API alone: the pod's default one stays unmounted. */}}
{{- define "mlflow.access.volumes" -}}
{{- if include "mlflow.access.reviewsTokens" . }}
- name: kubernetes
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3600}
      - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- end }}

{{- define "mlflow.access.mounts" -}}
{{- if include "mlflow.access.reviewsTokens" . }}
- {name: kubernetes, mountPath: /mlflow/kubernetes, readOnly: true}
{{- end }}
{{- end }}

{{/* Ports of those whom the server asks: as in their addresses, and the API's behind its Service. */}}
{{- define "mlflow.access.ports" -}}
{{- $urls := list .Values.access.jupyterhub.url .Values.access.login.url -}}
{{- range .Values.access.openid -}}
{{- $urls = concat $urls (list .issuer (.jwksUri | default "")) -}}
{{- end -}}
{{- $ports := list -}}
{{- range $urls | compact -}}
{{- $port := regexFind "^https?://(\\[[^]]*\\]|[^/:]+):[0-9]+" . | regexFind "[0-9]+$" -}}
{{- $ports = append $ports ($port | default (ternary "443" "80" (hasPrefix "https:" .)) | int) -}}
{{- end -}}
{{- if .Values.access.kubernetes.enabled -}}{{- $ports = concat $ports (list 443 6443) -}}{{- end -}}
{{- range $ports | uniq }}
- {protocol: TCP, port: {{ . }}}
{{- end }}
{{- end }}

{{- define "mlflow.validate.access" -}}
{{- $access := .Values.access -}}
{{- if include "mlflow.access.users" . -}}
{{- if not (or $access.jupyterhub.url $access.login.url $access.openid $access.kubernetes.enabled) -}}
{{- fail "access.mode is users but nothing could identify its users: set access.jupyterhub.url, access.login.url, access.openid or access.kubernetes.enabled." -}}
{{- end -}}
{{- if and $access.login.url (eq .Values.route.type "none") -}}
{{- fail (printf "access.login.url %q is asked about browsers, which come by the route, but route.type is none: set route.type and route.domain, or empty access.login.url." $access.login.url) -}}
{{- end -}}
{{- if and (eq .Values.route.type "nebariapp") .Values.route.nebariapp.auth.enabled (not $access.openid) -}}
{{- fail "route.type nebariapp: Nebari's gateway keeps its login in a cookie that nobody else can read, so the server would know no browser. Add the gateway's Keycloak to access.openid, with the app's client in clients: the gateway then sends the person's token." -}}
{{- end -}}
{{- if ne (empty $access.jupyterhub.tokenSecret.name) (empty $access.jupyterhub.tokenSecret.key) -}}
{{- fail "access.jupyterhub.tokenSecret needs both name and key, or neither." -}}
{{- end -}}
{{- range $access.teams -}}
{{- if has . $access.adminGroups -}}
{{- fail (printf "access.teams holds %q, which is also in access.adminGroups: administrators see what belongs to teams anyway. Remove it from one." .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Without a login in front of it, a route would be open to everyone, unless the server itself knows people. */}}
{{- define "mlflow.validate.login" -}}
{{- $route := .Values.route -}}
{{- $login := or $route.externalAuthentication (and (eq $route.type "traefik") $route.traefik.forwardAuth.name) -}}
{{- $login = or $login (and (eq $route.type "nebariapp") $route.nebariapp.auth.enabled) -}}
{{- if not (or $login (include "mlflow.access.users" .)) -}}
{{- $way := get (dict "traefik" "set route.traefik.forwardAuth.name" "nebariapp" "set route.nebariapp.auth.enabled" "ingress" "have the Ingress controller ask for a login (route.ingress.annotations)" "gateway" "attach a policy to the HTTPRoute that asks for a login") $route.type -}}
{{- fail (printf "route.type %q would open MLflow to everyone who reaches %s: %s. Where something that the chart cannot see asks for the login, set route.externalAuthentication to true." $route.type $route.domain $way) -}}
{{- end -}}
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
