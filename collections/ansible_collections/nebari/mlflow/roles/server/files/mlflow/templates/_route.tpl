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

{{- define "mlflow.uiUrl" -}}
{{ ternary "https" "http" .Values.route.tls }}://{{ .Values.route.domain }}{{ .Values.route.path | trimSuffix "/" }}/
{{- end }}
