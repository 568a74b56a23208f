{{/* Numbers that follow from the resources: workers, database connections. */}}
{{- define "mlflow.maxReplicas" -}}
{{- with .Values.tracking -}}
{{ ternary .autoscaling.maxReplicas .replicaCount .autoscaling.enabled | int | max 1 }}
{{- end -}}
{{- end }}

{{/* A CPU quantity in whole cores, 0 if it has none. */}}
{{- define "mlflow.cores" -}}
{{- $quantity := toString . -}}
{{- if regexMatch "^[0-9]+m$" $quantity -}}
{{ div (trimSuffix "m" $quantity | int) 1000 }}
{{- else -}}
{{ $quantity | float64 | floor | int }}
{{- end -}}
{{- end }}

{{/* A memory quantity in MiB, 0 if it is written in a unit that is not Mi, Gi, M or G. */}}
{{- define "mlflow.mebibytes" -}}
{{- $quantity := toString . -}}
{{- $number := regexFind "^[0-9.]+" $quantity | float64 -}}
{{- $factor := get (dict "Mi" 1.0 "Gi" 1024.0 "M" 0.953 "G" 953.0) (regexFind "[A-Za-z]+$" $quantity) | default 0.0 -}}
{{ mulf $number $factor | floor | int }}
{{- end }}

{{/*
One worker for each core of the limit, as long as memory lasts: 256 MiB each, 256 MiB for their parent, and
1 GiB for the processes of job execution.
*/}}
{{- define "mlflow.workers" -}}
{{- if .Values.tracking.workers -}}
{{ .Values.tracking.workers | int }}
{{- else -}}
{{- $limits := dig "limits" (dict) .Values.tracking.resources -}}
{{- $workers := include "mlflow.cores" ($limits.cpu | default "2") | int -}}
{{- $memory := include "mlflow.mebibytes" ($limits.memory | default "0") | int -}}
{{- if $memory -}}
{{- $rest := ternary 1280 256 .Values.tracking.jobExecution -}}
{{- $workers = min $workers (div (sub $memory $rest) 256) -}}
{{- end -}}
{{ max 1 $workers }}
{{- end -}}
{{- end }}
