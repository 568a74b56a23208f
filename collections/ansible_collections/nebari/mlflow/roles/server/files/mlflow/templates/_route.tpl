{{/*
The UI's address outside the cluster.
*/}}
{{- define "mlflow.route.prefix" -}}{{ .Values.route.path | trimSuffix "/" }}{{- end }}

{{/* Traefik 2 before 2.10 knows only traefik.containo.us; Traefik 3 only traefik.io. */}}
{{- define "mlflow.route.traefikApi" -}}
{{- $old := .Capabilities.APIVersions.Has "traefik.containo.us/v1alpha1" -}}
{{- $new := .Capabilities.APIVersions.Has "traefik.io/v1alpha1" -}}
{{- ternary "traefik.containo.us/v1alpha1" "traefik.io/v1alpha1" (and $old (not $new)) -}}
{{- end }}

{{/* Login first; nothing that is not logged in gets as far as a redirect. */}}
{{- define "mlflow.route.middlewares" -}}
{{- $own := printf "%s-tracking" (include "mlflow.fullname" .) -}}
{{- with .Values.route.traefik.forwardAuth }}
{{- if .name }}
- name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
{{- end }}
{{- end }}
{{- with .Values.route.traefik.middlewares }}
{{ toYaml . }}
{{- end }}
{{- if include "mlflow.route.prefix" . }}
- name: {{ $own }}-slash
- name: {{ $own }}-prefix
{{- end }}
{{- end }}

{{/* What a Gateway does before the server gets a request: the given filters, then the prefix. */}}
{{- define "mlflow.route.gatewayFilters" -}}
{{- with last . }}
{{ toYaml . }}
{{- end }}
{{- if first . }}
- type: URLRewrite
  urlRewrite:
    path: {type: ReplacePrefixMatch, replacePrefixMatch: /}
{{- end }}
{{- end }}

{{/* How a request that brings a token begins. The server checks the token; a route only has to tell it from a browser. */}}
{{- define "mlflow.route.tokens" -}}^(Bearer|Basic|bearer|basic) .+{{- end }}

{{/* Where MLflow's clients send their requests. The UI has paths of its own (/ajax-api, /graphql, /get-artifact). */}}
{{- define "mlflow.route.programs" -}}
- /api
- /v1/traces
- /version
{{- if .Values.tracking.aiGateway }}
- /gateway
{{- end }}
{{- end }}

{{- define "mlflow.uiUrl" -}}
{{ ternary "https" "http" .Values.route.tls }}://{{ .Values.route.domain }}{{ .Values.route.path | trimSuffix "/" }}/
{{- end }}
