{{/* MLflow compares the Host header exactly, port included, so each address is listed with and without one. */}}
{{- define "mlflow.allowedHosts" -}}
{{- $service := include "mlflow.tracking.name" . -}}
{{- $namespaced := printf "%s.%s" $service .Release.Namespace -}}
{{- $names := list $service $namespaced (printf "%s.svc" $namespaced) (printf "%s.svc.%s" $namespaced .Values.clusterDomain) -}}
{{- $names = concat $names (list "localhost" "127.0.0.1") -}}
{{- if ne .Values.route.type "none" -}}
{{- $names = append $names .Values.route.domain -}}
{{- end -}}
{{- $hosts := list -}}
{{- range $names -}}
{{- $hosts = concat $hosts (list . (printf "%s:*" .)) -}}
{{- end -}}
{{- /* Prometheus scrapes by the pod's address. */ -}}
{{- if .Values.tracking.metrics.enabled -}}
{{- $hosts = concat $hosts (list "$(POD_IP):5000" "[$(POD_IP)]:5000") -}}
{{- end -}}
{{- concat $hosts .Values.tracking.allowedHosts | uniq | join "," -}}
{{- end }}

{{/* MLflow checks the Origin of the UI's own requests too, so the UI's address must be here. */}}
{{- define "mlflow.corsOrigins" -}}
{{- $origins := list -}}
{{- if ne .Values.route.type "none" -}}
{{- $origins = append $origins (printf "%s://%s" (ternary "https" "http" .Values.route.tls) .Values.route.domain) -}}
{{- end -}}
{{- concat $origins .Values.tracking.corsAllowedOrigins | uniq | join "," -}}
{{- end }}

{{- define "mlflow.uiUrl" -}}
{{ ternary "https" "http" .Values.route.tls }}://{{ .Values.route.domain }}{{ .Values.route.path | trimSuffix "/" }}/
{{- end }}

{{/* Sources of model versions that need no request of the server to an address of the client's choice. */}}
{{- define "mlflow.modelVersionSourceRegex" -}}
{{- if .Values.tracking.modelVersionSourceRegex -}}
{{ .Values.tracking.modelVersionSourceRegex }}
{{- else -}}
{{- $prefixes := list "mlflow-artifacts:/" "models:/" "runs:/" "dummy-source$" "prompt-template$" -}}
{{- range prepend .Values.tracking.artifactLocations .Values.storage.uri -}}
{{- if contains "://" . -}}
{{- $prefixes = append $prefixes (printf "%s/" (trimSuffix "/" . | regexQuoteMeta)) -}}
{{- end -}}
{{- end -}}
^({{ join "|" $prefixes }})
{{- end -}}
{{- end }}
