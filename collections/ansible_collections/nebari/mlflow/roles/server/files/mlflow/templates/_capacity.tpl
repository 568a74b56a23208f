{{/*
How much the server takes on: workers, the requests that use the database at the same time, and the connections and
memory for them. Everything that depends on these numbers reads them from here.
*/}}
{{/* A CPU quantity in whole cores, 0 if it has none. */}}
{{- define "mlflow.cores" -}}
{{- $quantity := toString . -}}
{{- if regexMatch "^[0-9]+m$" $quantity -}}
{{ div (trimSuffix "m" $quantity | int) 1000 }}
{{- else -}}
{{ $quantity | float64 | floor | int }}
{{- end -}}
{{- end }}

{{/* A quantity of memory or storage in MiB, 0 if it is written in another way than as a number and a usual unit. */}}
{{- define "mlflow.mebibytes" -}}
{{- $quantity := kindIs "float64" . | ternary (int64 .) . | toString -}}
{{- $number := regexFind "^[0-9.]+" $quantity | float64 -}}
{{- $binary := dict "" 9.5367e-7 "Ki" 9.7656e-4 "Mi" 1.0 "Gi" 1024.0 "Ti" 1048576.0 "Pi" 1073741824.0 -}}
{{- $decimal := dict "k" 9.5367e-4 "M" 0.953674 "G" 953.674 "T" 953674.0 "P" 953674316.0 -}}
{{- $unit := regexReplaceAll "^[0-9.]+" $quantity "" -}}
{{ mulf $number (get (merge $binary $decimal) $unit | default 0.0) | floor | int }}
{{- end }}

{{- define "mlflow.maxReplicas" -}}
{{- with .Values.tracking -}}
{{ ternary .autoscaling.maxReplicas .replicaCount .autoscaling.enabled | int | max 1 }}
{{- end -}}
{{- end }}

{{/*
Memory of a worker: 256 MiB, and with the AI gateway as much again for the libraries of its providers. Their parent has
256 MiB, and the processes that wait for jobs 1536 MiB.
*/}}
{{- define "mlflow.memoryPerWorker" -}}
{{ ternary 512 256 .Values.tracking.aiGateway }}
{{- end }}

{{- define "mlflow.memoryBesideWorkers" -}}
{{ ternary 1792 256 .Values.tracking.jobExecution }}
{{- end }}

{{/*
MiB of the jobs that are wanted. MLflow limits five kinds of them by two variables, and runs two of a sixth at most. Each
running job is a process of 256 MiB.
*/}}
{{- define "mlflow.memoryOfJobs" -}}
{{ ternary (mul 256 (add 2 (mul 5 (.Values.tracking.jobs | default 1 | int)))) 0 .Values.tracking.jobExecution }}
{{- end }}

{{/* The limit of memory that values give: a quantity, empty if the chart computes it, "0" without one. */}}
{{- define "mlflow.givenMemory" -}}
{{- $limits := dig "limits" (dict) .Values.tracking.resources | default dict -}}
{{- $given := get $limits "memory" -}}
{{- if kindIs "float64" $given -}}{{- $given = int64 $given -}}{{- end -}}
{{ ternary (toString $given) "0" (and (hasKey $limits "memory") (not (kindIs "invalid" $given))) }}
{{- end }}

{{/* Memory limit of the server in MiB; 0 without one. Unless values give it, it is as much as is needed, at least 2 GiB. */}}
{{- define "mlflow.memory" -}}
{{- $given := include "mlflow.givenMemory" . -}}
{{- if $given -}}
{{ include "mlflow.mebibytes" $given }}
{{- else -}}
{{- $requested := include "mlflow.mebibytes" (dig "requests" "memory" "" .Values.tracking.resources | default "0") | int -}}
{{ max 2048 $requested (include "mlflow.neededMemory" . | int) }}
{{- end -}}
{{- end }}

{{/* MiB that the scheduler sets aside, unless values give it: what the idle server has, and no more than its limit. */}}
{{- define "mlflow.requestedMemory" -}}
{{- $workers := mul (include "mlflow.workers" . | int) (include "mlflow.memoryPerWorker" . | int) -}}
{{- $idle := max 512 (sub (add $workers (include "mlflow.memoryBesideWorkers" . | int)) 256) -}}
{{- $limit := include "mlflow.memory" . | int -}}
{{ ternary (min $idle $limit) $idle (gt $limit 0) }}
{{- end }}

{{/* Requests and limits of the server's container, with the memory that values leave to the chart. */}}
{{- define "mlflow.tracking.resources" -}}
{{- $resources := deepCopy .Values.tracking.resources -}}
{{- range $kind, $memory := dict "requests" (include "mlflow.requestedMemory" .) "limits" (include "mlflow.memory" .) -}}
{{- $block := get $resources $kind | default dict -}}
{{- if and (hasKey $block "memory") (eq (get $block "memory" | toString) "") -}}
{{- $mebibytes := int $memory -}}
{{- $_ := set $block "memory" (ternary (printf "%dGi" (div $mebibytes 1024)) (printf "%dMi" $mebibytes) (eq (mod $mebibytes 1024) 0)) -}}
{{- end -}}
{{- end -}}
{{ toYaml $resources }}
{{- end }}

{{/* One worker for each core of the limit, as long as memory that is given lasts. */}}
{{- define "mlflow.workers" -}}
{{- if .Values.tracking.workers -}}
{{ .Values.tracking.workers | int }}
{{- else -}}
{{- $workers := include "mlflow.cores" (dig "limits" "cpu" "2" .Values.tracking.resources | default "2") | int -}}
{{- $memory := include "mlflow.mebibytes" (include "mlflow.givenMemory" . | default "0") | int -}}
{{- if $memory -}}
{{- $rest := add (include "mlflow.memoryBesideWorkers" . | int) (include "mlflow.memoryOfJobs" . | int) -}}
{{- $workers = min $workers (div (sub $memory $rest) (include "mlflow.memoryPerWorker" . | int)) -}}
{{- end -}}
{{ max 1 $workers }}
{{- end -}}
{{- end }}

{{/* MiB that the workers and, with job execution, the wanted jobs need. */}}
{{- define "mlflow.neededMemory" -}}
{{- $workers := mul (include "mlflow.workers" . | int) (include "mlflow.memoryPerWorker" . | int) -}}
{{ add $workers (include "mlflow.memoryBesideWorkers" . | int) (include "mlflow.memoryOfJobs" . | int) }}
{{- end }}

{{/* Jobs of each kind that may run at the same time: as many as are wanted, otherwise as memory carries, at most 5. */}}
{{- define "mlflow.jobs" -}}
{{- if .Values.tracking.jobs -}}
{{ .Values.tracking.jobs | int }}
{{- else -}}
{{- $memory := include "mlflow.memory" . | int | default 16384 -}}
{{- $free := sub $memory (include "mlflow.neededMemory" . | int) -}}
{{ add 1 (div (max 0 $free) 1280) | min 5 }}
{{- end -}}
{{- end }}

{{/*
Yields the numbers as YAML:

workers         processes of a pod
places          requests of a worker that use the database at the same time
pool            connections that a worker keeps open, which are all that it opens
maxConnections  connections that the database offers
needed          connections with which every worker has one place

Each place takes two connections, and one place at a time two more (gate.py). With users, permissions have a pool of as
many, and grants one connection more (lookups.py). With job execution, the eight processes that wait for jobs and each
running job have two connections each. The parent process of a pod holds two. During a rolling update, each pod and its
successor run at the same time. 15 connections stay free: 3 for superusers, the rest for migration, backups and people.
*/}}
{{- define "mlflow.capacity" -}}
{{- $tracking := .Values.tracking -}}
{{- $workers := include "mlflow.workers" . | int -}}
{{- $pods := mul (include "mlflow.maxReplicas" . | int) (ternary 2 1 (eq $tracking.strategy.type "RollingUpdate")) -}}
{{- $processes := mul $pods $workers -}}
{{- $jobs := ternary (add 16 (mul 2 (add 2 (mul 5 (include "mlflow.jobs" . | int))))) 0 $tracking.jobExecution -}}
{{- $users := not (empty (include "mlflow.access.users" .)) -}}
{{- $pools := ternary 2 1 $users -}}
{{- $fixed := add 15 (mul $pods (add 2 $jobs (ternary $workers 0 $users))) -}}
{{- $needed := add $fixed (mul $processes $pools 4) -}}
{{- $most := 10 -}}
{{- $connections := include "mlflow.maxConnections" (list . (add $fixed (mul $processes $pools (add 2 (mul 2 $most))))) | int -}}
{{- $places := div (sub (div (sub $connections $fixed) (mul $processes $pools)) 2) 2 | min $most -}}
workers: {{ $workers }}
places: {{ $places }}
pool: {{ add 2 (mul 2 $places) }}
maxConnections: {{ $connections }}
needed: {{ $needed }}
{{- end }}

{{/*
Connections that the database offers; call with the root and the number that the server would use. In the release, it
is as many as that, in steps of 100, so that few changes of the server restart the database, and as memory carries.
*/}}
{{- define "mlflow.maxConnections" -}}
{{- $root := first . -}}
{{- if not $root.Values.postgresql.enabled -}}
{{ $root.Values.externalDatabase.maxConnections }}
{{- else if $root.Values.postgresql.maxConnections -}}
{{ $root.Values.postgresql.maxConnections }}
{{- else -}}
{{- $most := include "mlflow.connectionsByMemory" $root | int -}}
{{ min (mul 100 (div (add (last .) 99) 100)) $most }}
{{- end -}}
{{- end }}

{{/*
Connections that PostgreSQL's memory carries: 3 MiB each (2.1 measured), beside shared_buffers, a quarter, and 128 MiB.
*/}}
{{- define "mlflow.connectionsByMemory" -}}
{{- $memory := include "mlflow.mebibytes" (dig "limits" "memory" "0" .Values.postgresql.primary.resources | default "0") | int -}}
{{ ternary (div (sub (sub $memory (div $memory 4)) 128) 3 | max 10) 1000 (gt $memory 0) }}
{{- end }}

{{/* Memory in MiB that so many connections need; the other way round. */}}
{{- define "mlflow.memoryByConnections" -}}
{{ div (mul 4 (add 128 (mul 3 (int .)) 1)) 3 | add 1 }}
{{- end }}

{{- define "mlflow.capacity.env" -}}
{{- $capacity := include "mlflow.capacity" . | fromYaml -}}
- name: MLFLOW_SQLALCHEMYSTORE_POOL_SIZE
  value: {{ $capacity.pool | quote }}
- name: MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW
  value: "-1"
- name: NEBARI_MLFLOW_DATABASE_PLACES
  value: {{ $capacity.places | quote }}
# Longer than any proxy or load balancer keeps a connection that it does not use (Envoy: an hour), so that none of them
# sends a request into one that is being closed. A busy worker is not taken for a hanging one.
- name: UVICORN_TIMEOUT_KEEP_ALIVE
  value: "3900"
- name: UVICORN_TIMEOUT_WORKER_HEALTHCHECK
  value: "60"
{{- if .Values.tracking.jobExecution }}
- name: MLFLOW_SERVER_JUDGE_INVOKE_MAX_WORKERS
  value: {{ include "mlflow.jobs" . | quote }}
- name: MLFLOW_SERVER_ONLINE_SCORING_MAX_WORKERS
  value: {{ include "mlflow.jobs" . | quote }}
{{- end }}
{{- end }}

{{/* New connections go to other pods meanwhile, and each answer ends its connection (probes.py). */}}
{{- define "mlflow.drain" -}}
{{- if or (gt (include "mlflow.maxReplicas" . | int) 1) (eq .Values.tracking.strategy.type "RollingUpdate") }}
lifecycle:
  preStop:
    exec: {command: [sh, -c, touch /tmp/draining; sleep {{ .Values.tracking.drainSeconds }}]}
{{- end }}
{{- end }}
