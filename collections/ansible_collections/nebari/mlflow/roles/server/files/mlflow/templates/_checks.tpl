{{- define "mlflow.checks.version" -}}
{{- $version := regexFind "^v?[0-9]+\\.[0-9]+\\.[0-9]+" .Values.image.tag | trimPrefix "v" -}}
{{- if and $version (semverCompare "<3.17.0" $version) -}}
{{- fail (printf "image.tag %q is MLflow %s; at least 3.17.0 is needed: older ones have known holes (webhook SSRF, a public admin password) and other settings." .Values.image.tag $version) -}}
{{- end -}}
{{- end }}

{{- define "mlflow.checks.database" -}}
{{- $external := .Values.externalDatabase -}}
{{- $used := or $external.host $external.existingSecretUriKey -}}
{{- if and .Values.postgresql.enabled $used -}}
{{- fail "externalDatabase is filled in but postgresql.enabled is true: set postgresql.enabled to false, or empty externalDatabase." -}}
{{- end -}}
{{- if and (not .Values.postgresql.enabled) (not $used) -}}
{{- fail "postgresql.enabled is false and there is no other database: set externalDatabase.host, or externalDatabase.existingSecret and externalDatabase.existingSecretUriKey." -}}
{{- end -}}
{{- if and $used (not $external.existingSecret) -}}
{{- fail "externalDatabase.existingSecret is empty: name the Secret that holds the database's URI (existingSecretUriKey) or its password (existingSecretPasswordKey)." -}}
{{- end -}}
{{- if and $external.host $external.existingSecretUriKey -}}
{{- fail "externalDatabase.host and externalDatabase.existingSecretUriKey are both set: the whole URI comes from the Secret, or its parts come from here. Empty one." -}}
{{- end -}}
{{- end }}

{{- define "mlflow.checks.storage" -}}
{{- $storage := .Values.storage -}}
{{- if regexMatch "^(file|http|https|mlflow-artifacts|runs|models|dbfs):" $storage.uri -}}
{{- fail (printf "storage.uri %q cannot hold artifacts behind the server: use an object store's URI (s3://bucket/path, gs://…, wasbs://…) or an absolute path on the chart's volume (/mlflow/artifacts)." $storage.uri) -}}
{{- end -}}
{{- if and (contains "://" $storage.uri) $storage.volume -}}
{{- fail (printf "storage.volume is set but storage.uri %q is an object store, which uses no volume: remove storage.volume, or set storage.uri to a path." $storage.uri) -}}
{{- end -}}
{{- $writable := list "/tmp" "/mlflow" "/mlflow/scripts" "/mlflow/app" "/mlflow/database" "/mlflow/database-ca" -}}
{{- if or (has (trimSuffix "/" $storage.uri) $writable) (hasPrefix "/tmp/" $storage.uri) -}}
{{- fail (printf "storage.uri %q is taken by the chart's own files: use another path, such as /mlflow/artifacts." $storage.uri) -}}
{{- end -}}
{{- end }}

{{- define "mlflow.checks.replicas" -}}
{{- $replicas := include "mlflow.maxReplicas" . | int -}}
{{- $mode := .Values.storage.volume.access_mode | default "ReadWriteOnce" -}}
{{- if and (gt $replicas 1) (include "mlflow.storage.hasVolume" .) (ne $mode "ReadWriteMany") -}}
{{- fail (printf "%d replicas cannot share a %s volume: set storage.volume.access_mode to ReadWriteMany with a storage_class that offers it, or use an object store (storage.uri), or one replica." $replicas $mode) -}}
{{- end -}}
{{- if and (gt $replicas 1) .Values.tracking.jobExecution (not (include "mlflow.checks.hasRedis" .)) -}}
{{- fail "tracking.jobExecution with several replicas needs one shared queue: set MLFLOW_SERVER_JOB_HUEY_REDIS_URL in tracking.extraEnvVars by valueFrom.secretKeyRef, since the URL has a password, or use one replica." -}}
{{- end -}}
{{- if lt (include "mlflow.connectionsPerPool" . | int) 2 -}}
{{- fail (printf "%d replica(s) of %s worker(s) do not fit into the database's connections (maxConnections): raise it to at least %d, or lower tracking.workers or the replicas." $replicas (include "mlflow.workers" .) (include "mlflow.minConnections" . | int)) -}}
{{- end -}}
{{- end }}
