{{/*
Rules that several NetworkPolicies share.
*/}}
{{/* To the cluster's DNS. Behind its Service, OpenShift's pods listen on 5353. */}}
{{- define "mlflow.network.dns" -}}
- to:
    {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
    - {protocol: UDP, port: 5353}
    - {protocol: TCP, port: 5353}
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
- to:
    {{- include "mlflow.network.anywhere" . | nindent 4 }}
  ports:
    - {protocol: TCP, port: {{ .Values.externalDatabase.port }}}
{{- end }}
{{- end }}

{{/* Any pod and any address but link-local ones, where clouds keep their metadata services. */}}
{{- define "mlflow.network.anywhere" -}}
- namespaceSelector: {}
- ipBlock: {cidr: 0.0.0.0/0, except: [169.254.0.0/16]}
- ipBlock: {cidr: "::/0", except: ["fe80::/10", "fd00:ec2::/32"]}
{{- end }}

{{/* Ports of the artifact store: the named ones and those of URLs in storage.env. */}}
{{- define "mlflow.network.storagePorts" -}}
{{- $ports := .Values.networkPolicy.storagePorts | default list -}}
{{- range $value := .Values.storage.env -}}
{{- if regexMatch "^https?://[^/:]+:[0-9]+" (toString $value) -}}
{{- $ports = append $ports (regexFind ":[0-9]+" (toString $value) | trimPrefix ":" | int) -}}
{{- else if hasPrefix "http://" (toString $value) -}}
{{- $ports = append $ports 80 -}}
{{- end -}}
{{- end -}}
{{- range $ports | uniq }}
- {protocol: TCP, port: {{ . }}}
{{- end }}
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
