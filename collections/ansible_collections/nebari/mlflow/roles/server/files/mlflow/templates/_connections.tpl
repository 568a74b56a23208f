{{/*
Connections that one pool may hold. Each worker has one for tracking, one for the registry and, where job
execution is on, one for jobs; the parent process of a pod holds two connections. 15 stay free: 3 for
superusers, the rest for migration, backups and people.
*/}}
{{- define "mlflow.poolsPerWorker" -}}{{ ternary 3 2 .Values.tracking.jobExecution }}{{- end }}

{{- define "mlflow.connectionsPerPool" -}}
{{- $limit := ternary .Values.postgresql.maxConnections .Values.externalDatabase.maxConnections .Values.postgresql.enabled | int -}}
{{- $replicas := include "mlflow.maxReplicas" . | int -}}
{{- $pools := mul $replicas (include "mlflow.workers" . | int) (include "mlflow.poolsPerWorker" . | int) -}}
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

{{/* Connections that the database must offer for pools of two, the smallest that MLflow can be told. */}}
{{- define "mlflow.minConnections" -}}
{{- $replicas := include "mlflow.maxReplicas" . | int -}}
{{ add 15 (mul $replicas 2) (mul 2 $replicas (include "mlflow.workers" . | int) (include "mlflow.poolsPerWorker" . | int)) }}
{{- end }}
