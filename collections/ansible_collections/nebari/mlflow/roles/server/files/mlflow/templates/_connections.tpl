{{/*
Pools of a replica: each worker has one for tracking and one for the registry. With job execution each has one
more, and eight processes that run jobs have one each. The parent process of a pod holds two connections.
*/}}
{{- define "mlflow.poolsPerReplica" -}}
{{- $workers := include "mlflow.workers" . | int -}}
{{- ternary (add 8 (mul 3 $workers)) (mul 2 $workers) .Values.tracking.jobExecution -}}
{{- end }}

{{/* Connections that one pool may hold. 15 stay free: 3 for superusers, the rest for migration, backups and people. */}}
{{- define "mlflow.connectionsPerPool" -}}
{{- $limit := ternary .Values.postgresql.maxConnections .Values.externalDatabase.maxConnections .Values.postgresql.enabled | int -}}
{{- $replicas := include "mlflow.maxReplicas" . | int -}}
{{ div (sub (sub $limit 15) (mul 2 $replicas)) (mul $replicas (include "mlflow.poolsPerReplica" . | int)) }}
{{- end }}

{{- define "mlflow.pool.env" -}}
{{- $connections := include "mlflow.connectionsPerPool" . | int -}}
{{- $size := max 1 (min 5 (sub $connections 1)) -}}
- name: MLFLOW_SQLALCHEMYSTORE_POOL_SIZE
  value: {{ $size | quote }}
- name: MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW
  value: {{ max 1 (min 10 (sub $connections $size)) | quote }}
{{- end }}

{{/* Connections that the database must offer for pools of two, the smallest that MLflow can be told. */}}
{{- define "mlflow.minConnections" -}}
{{- $replicas := include "mlflow.maxReplicas" . | int -}}
{{ add 15 (mul 2 $replicas) (mul 2 $replicas (include "mlflow.poolsPerReplica" . | int)) }}
{{- end }}
