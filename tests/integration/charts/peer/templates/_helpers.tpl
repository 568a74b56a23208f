{{- define "peer.selector" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/name: mlflow
app.kubernetes.io/part-of: mlflow
app.kubernetes.io/component: tracking
{{- end }}
{{- define "peer.labels" -}}
{{ include "peer.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}
{{- define "peer.database.selector" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/name: postgresql
app.kubernetes.io/component: primary
{{- end }}
{{- define "peer.database.labels" -}}
{{ include "peer.database.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: postgresql-16.7.27
{{- end }}
{{- define "peer.container" -}}
name: main
image: registry.k8s.io/pause:3.10.1
{{- end }}
