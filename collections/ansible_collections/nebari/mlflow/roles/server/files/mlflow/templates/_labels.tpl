{{/* Labels of a component: call with (list $ "tracking"). Selectors are immutable: they never change. */}}
{{- define "mlflow.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: mlflow
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "mlflow.labels" -}}
{{- $root := index . 0 -}}
{{ include "mlflow.selector" . }}
app.kubernetes.io/part-of: mlflow
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}
