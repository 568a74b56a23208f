{{/*
Refusals of pods that could never become ready, or not for long.
*/}}
{{/* What a container runtime cannot read as an image's name: the pull would fail only when everything is there. */}}
{{- define "mlflow.validate.images" -}}
{{- $registries := dict "global.imageRegistry" .Values.global.imageRegistry -}}
{{- range $key, $image := dict "image" .Values.image "postgresql.image" .Values.postgresql.image -}}
{{- $_ := set $registries (printf "%s.registry" $key) $image.registry -}}
{{- if not (regexMatch "^[a-z0-9]+([._/-]+[a-z0-9]+)*$" $image.repository) -}}
{{- fail (printf "%s.repository %q is not an image's name: give the path behind the registry in lower case, without a slash at its ends and without a tag, such as mlflow/mlflow." $key $image.repository) -}}
{{- end -}}
{{- if not (regexMatch "^([A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$" $image.tag) -}}
{{- fail (printf "%s.tag %q is not a tag: give letters, digits, '.', '_' and '-' only. A digest (sha256:…) belongs in %s.digest." $key $image.tag $key) -}}
{{- end -}}
{{- end -}}
{{- range $key, $registry := $registries -}}
{{- if not (regexMatch "^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*)?$" $registry) -}}
{{- $host := regexReplaceAll "^[a-z]+://" $registry "" | trimSuffix "/" -}}
{{- fail (printf "%s %q is not a registry: give its host, and a port and a path if it has them, without a scheme (https://) and without a slash at the end, such as %s." $key $registry (ternary $host "mirror.example.org:5000/hub" (regexMatch "^[a-z0-9][A-Za-z0-9./:-]*[a-z0-9]$" $host))) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* A volume that may grow beyond the container's limit: the kubelet would end the pod in the middle of an upload. */}}
{{- define "mlflow.validate.temporary" -}}
{{- range $key, $block := dict "tracking" .Values.tracking "run" .Values.run -}}
{{- $size := $block.temporaryStorage.sizeLimit -}}
{{- $limit := get (dig "limits" (dict) $block.resources | default dict) "ephemeral-storage" -}}
{{- if kindIs "float64" $limit -}}{{- $limit = int64 $limit -}}{{- end -}}
{{- $allowed := include "mlflow.mebibytes" $limit | int -}}
{{- if and $allowed (gt (include "mlflow.mebibytes" $size | int) $allowed) -}}
{{- fail (printf "%s.temporaryStorage.sizeLimit %s is above %s.resources.limits.ephemeral-storage %v, at which the kubelet ends the pod: raise the limit above %s, or lower the size." $key $size $key $limit $size) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "mlflow.validate.replicas" -}}
{{- with .Values.tracking.autoscaling -}}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) -}}
{{- fail (printf "tracking.autoscaling.minReplicas is %d, above tracking.autoscaling.maxReplicas, which is %d: lower it, or raise the other." (int .minReplicas) (int .maxReplicas)) -}}
{{- end -}}
{{- if and .enabled (not (dig "requests" "cpu" "" $.Values.tracking.resources)) -}}
{{- fail "tracking.autoscaling.enabled is true, but tracking.resources.requests.cpu is empty, of which the CPU use is a percentage: set it, such as to 500m." -}}
{{- end -}}
{{- end -}}
{{- $replicas := include "mlflow.maxReplicas" . | int -}}
{{- $mode := .Values.storage.volume.accessMode -}}
{{- if and (gt $replicas 1) (include "mlflow.storage.hasVolume" .) (ne $mode "ReadWriteMany") -}}
{{- fail (printf "%d replicas cannot share a %s volume: set storage.volume.accessMode to ReadWriteMany with a storageClass that offers it, or use an object store (storage.uri), or one replica." $replicas $mode) -}}
{{- end -}}
{{- if and (gt $replicas 1) .Values.tracking.jobExecution (not (include "mlflow.validate.hasRedis" .)) -}}
{{- fail "tracking.jobExecution with several replicas needs one shared queue: set MLFLOW_SERVER_JOB_HUEY_REDIS_URL in tracking.extraEnvVars by valueFrom.secretKeyRef, since the URL has a password, or use one replica." -}}
{{- end -}}
{{- end }}

{{/* What would be killed for its memory, or would find no connection free. */}}
{{- define "mlflow.validate.capacity" -}}
{{- $replicas := include "mlflow.maxReplicas" . | int -}}
{{- $capacity := include "mlflow.capacity" . | fromYaml -}}
{{- $connections := int $capacity.maxConnections -}}
{{- if lt (int $capacity.places) 1 -}}
{{- if and .Values.postgresql.enabled (not .Values.postgresql.maxConnections) -}}
{{- fail (printf "%d replica(s) of %d worker(s) need %d connections, more than PostgreSQL's memory carries: raise postgresql.primary.resources.limits.memory to at least %sMi, or lower tracking.workers or the replicas." $replicas (int $capacity.workers) (int $capacity.needed) (include "mlflow.memoryByConnections" $capacity.needed)) -}}
{{- end -}}
{{- fail (printf "%s is %d, too few for %d replica(s) of %d worker(s): raise it to at least %d, or lower tracking.workers or the replicas." (ternary "postgresql.maxConnections" "externalDatabase.maxConnections" .Values.postgresql.enabled) $connections $replicas (int $capacity.workers) (int $capacity.needed)) -}}
{{- end -}}
{{- $carried := include "mlflow.connectionsByMemory" . | int -}}
{{- if and .Values.postgresql.enabled (gt $connections $carried) -}}
{{- fail (printf "postgresql.maxConnections is %d, but PostgreSQL's memory carries %d connections: raise postgresql.primary.resources.limits.memory to at least %sMi, or leave postgresql.maxConnections to the chart." $connections $carried (include "mlflow.memoryByConnections" $connections)) -}}
{{- end -}}
{{- if and .Values.tracking.jobs (not .Values.tracking.jobExecution) -}}
{{- fail (printf "tracking.jobs is %d, but tracking.jobExecution is false, so no job runs: set tracking.jobExecution to true, or remove tracking.jobs." (int .Values.tracking.jobs)) -}}
{{- end -}}
{{- $memory := include "mlflow.memory" . | int -}}
{{- $needed := include "mlflow.neededMemory" . | int -}}
{{- if and $memory (lt $memory $needed) (or .Values.tracking.jobExecution .Values.tracking.aiGateway) -}}
{{- $what := ternary (ternary "tracking.jobExecution and tracking.aiGateway need" "tracking.jobExecution needs" .Values.tracking.aiGateway) "tracking.aiGateway needs" .Values.tracking.jobExecution -}}
{{- $jobs := ternary (printf " and %d job(s) of each kind" (.Values.tracking.jobs | default 1 | int)) "" .Values.tracking.jobExecution -}}
{{- fail (printf "%s %d MiB with %d worker(s)%s, but tracking.resources.limits.memory is %s: raise it to at least %dMi, or remove it, and the chart sets it." $what $needed (int $capacity.workers) $jobs (toString .Values.tracking.resources.limits.memory) $needed) -}}
{{- end -}}
{{- end }}

{{- define "mlflow.validate.hasRedis" -}}
{{- range .Values.tracking.extraEnvVars -}}
{{- if eq .name "MLFLOW_SERVER_JOB_HUEY_REDIS_URL" -}}true{{- end -}}
{{- end -}}
{{- end }}
