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
