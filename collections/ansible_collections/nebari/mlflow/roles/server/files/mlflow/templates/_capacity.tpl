{{/* Numbers that follow from the resources: workers, database connections. */}}
{{- define "mlflow.maxReplicas" -}}
{{- with .Values.tracking -}}
{{ ternary .autoscaling.maxReplicas .replicaCount .autoscaling.enabled | int }}
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

{{/* One worker for each core of the limit, as long as memory lasts: 256 MiB each and 256 MiB for the rest. */}}
{{- define "mlflow.workers" -}}
{{- if .Values.tracking.workers -}}
{{ .Values.tracking.workers | int }}
{{- else -}}
{{- $limits := dig "limits" (dict) .Values.tracking.resources -}}
{{- $workers := include "mlflow.cores" ($limits.cpu | default "2") | int -}}
{{- $memory := include "mlflow.mebibytes" ($limits.memory | default "0") | int -}}
{{- if $memory -}}
{{- $workers = min $workers (div (sub $memory 256) 256) -}}
{{- end -}}
{{ max 1 $workers }}
{{- end -}}
{{- end }}

{{/*
Connections that one pool may hold. Each worker has two pools, tracking and registry; the parent process of
a pod holds two connections. 15 stay free: 3 for superusers, the rest for migration, backups and people.
*/}}
{{- define "mlflow.connectionsPerPool" -}}
{{- $limit := ternary .Values.postgresql.maxConnections .Values.externalDatabase.maxConnections .Values.postgresql.enabled | int -}}
{{- $replicas := include "mlflow.maxReplicas" . | int -}}
{{- $pools := mul $replicas (include "mlflow.workers" . | int) 2 -}}
{{ div (sub (sub $limit 15) (mul 2 $replicas)) $pools }}
{{- end }}

{{- define "mlflow.pool.env" -}}
{{- $connections := include "mlflow.connectionsPerPool" . | int -}}
{{- $size := max 1 (min 5 (sub $connections 1)) -}}
- name: MLFLOW_SQLALCHEMYSTORE_POOL_SIZE
  value: {{ $size | quote }}
- name: MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW
  value: {{ max 1 (min 10 (sub $connections $size)) | quote }}
{{- end }}
