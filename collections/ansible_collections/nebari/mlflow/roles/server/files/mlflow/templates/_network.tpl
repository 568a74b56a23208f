{{/*
Rules that several NetworkPolicies share.
*/}}
{{/* To the cluster's DNS, at the ports of its pods: a policy does not see those of its Service. */}}
{{- define "mlflow.network.dns" -}}
- to:
    {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
  ports:
    {{- range .Values.networkPolicy.dnsPorts }}
    - {protocol: UDP, port: {{ . }}}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}

{{/* To PostgreSQL: the release's own pod, or wherever the external one listens. */}}
{{- define "mlflow.network.database" -}}
{{- if .Values.postgresql.enabled -}}
- to:
    - podSelector:
        matchLabels:
          {{- include "mlflow.selectorLabels" . | nindent 10 }}
          app.kubernetes.io/component: postgresql
  ports:
    - {protocol: TCP, port: 5432}
{{- else -}}
{{- $root := . }}
{{- range .Values.externalDatabase.network | default (list (dict "port" .Values.externalDatabase.port)) }}
- to:
    {{- if .to }}
    {{- toYaml .to | nindent 4 }}
    {{- else }}
    {{- include "mlflow.network.anywhere" $root | nindent 4 }}
    {{- end }}
  ports:
    - {protocol: TCP, port: {{ .port }}}
{{- end }}
{{- end }}
{{- end }}

{{/* Any pod and any address but link-local ones, where clouds keep their metadata services. */}}
{{- define "mlflow.network.anywhere" -}}
- namespaceSelector: {}
- ipBlock: {cidr: 0.0.0.0/0, except: [169.254.0.0/16]}
- ipBlock: {cidr: "::/0", except: ["fe80::/10", "fd00:ec2::/32"]}
{{- end }}

{{/* Ports of the artifact store (the named ones and those of URLs in storage.env), of proxies and of endpoints. */}}
{{- define "mlflow.network.ports" -}}
{{- $ports := list -}}
{{- if contains "://" .Values.storage.uri -}}
{{- $ports = .Values.networkPolicy.storagePorts | default list -}}
{{- range $value := .Values.storage.env -}}
{{- with include "mlflow.network.urlPort" (toString $value) -}}{{- $ports = append $ports (int .) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- range .Values.tracking.extraEnvVars -}}
{{- $value := get . "value" | toString -}}
{{- if and (regexMatch "(?i)^(https?|all)_proxy$" .name) $value (not (contains "://" $value)) -}}
{{- $value = printf "http://%s" $value -}}
{{- end -}}
{{- if regexMatch "(?i)(endpoint|^(https?|all)_proxy$|emulator_host)" .name -}}
{{- with include "mlflow.network.urlPort" $value -}}{{- $ports = append $ports (int .) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- range $ports | uniq }}
- {protocol: TCP, port: {{ . }}}
{{- end }}
{{- end }}

{{/* The port of an http or https URL; nothing for any other text. */}}
{{- define "mlflow.network.urlPort" -}}
{{- $host := regexFind "(?i)^https?://[^/?#]+" . | regexFind "[^/@]+$" -}}
{{- if $host -}}
{{- with regexFind ":[0-9]+$" $host | trimPrefix ":" -}}{{ . }}{{- else -}}{{ ternary "443" "80" (hasPrefix "https" (lower .)) }}{{- end -}}
{{- end -}}
{{- end }}

{{- define "mlflow.network.server" -}}
- to:
    - podSelector:
        matchLabels:
          {{- include "mlflow.selectorLabels" . | nindent 10 }}
          app.kubernetes.io/component: tracking
  ports:
    - {protocol: TCP, port: 5000}
{{- end }}
