{{/*
The server: its environment, what it answers to, and its application.
*/}}
{{/* What every container in MLflow's image needs on a read-only root. */}}
{{- define "mlflow.environment.common" -}}
- name: HOME
  value: /tmp
- name: PYTHONUNBUFFERED
  value: "1"
- name: PYTHONDONTWRITEBYTECODE
  value: "1"
- name: MLFLOW_DISABLE_TELEMETRY
  value: {{ not .Values.tracking.telemetry | quote }}
{{- end }}

{{/* What the chart sets, less what storage.env and tracking.extraEnvVars set themselves: names stay unique. */}}
{{- define "mlflow.tracking.env" -}}
{{- $more := list -}}
{{- range $name, $value := .Values.storage.env -}}
{{- $more = append $more (dict "name" $name "value" $value) -}}
{{- end -}}
{{- $entries := include "mlflow.tracking.ownEnv" . | fromYamlArray -}}
{{- range $added := list $more (.Values.tracking.extraEnvVars | default list) -}}
{{- $names := list -}}
{{- range $added -}}{{- $names = append $names .name -}}{{- end -}}
{{- $kept := list -}}
{{- range $entries -}}
{{- if not (has .name $names) -}}{{- $kept = append $kept . -}}{{- end -}}
{{- end -}}
{{- $entries = concat $kept $added -}}
{{- end -}}
{{ toYaml $entries }}
{{- end }}

{{/* MLflow compares the Host header exactly, port included, so each address is listed with and without one. */}}
{{- define "mlflow.allowedHosts" -}}
{{- $service := printf "%s-tracking" (include "mlflow.fullname" .) -}}
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
{{- concat $hosts (.Values.tracking.allowedHosts | default list) | uniq | join "," -}}
{{- end }}

{{/* MLflow checks the Origin of the UI's own requests too, so the UI's address must be here. */}}
{{- define "mlflow.corsOrigins" -}}
{{- $origins := list -}}
{{- if ne .Values.route.type "none" -}}
{{- $origins = append $origins (printf "%s://%s" (ternary "https" "http" .Values.route.tls) .Values.route.domain) -}}
{{- end -}}
{{- concat $origins (.Values.tracking.corsAllowedOrigins | default list) | uniq | join "," -}}
{{- end }}

{{/* Sources of model versions that need no request of the server to an address of the client's choice. */}}
{{- define "mlflow.modelVersionSourceRegex" -}}
{{- if .Values.tracking.modelVersionSourceRegex -}}
{{ .Values.tracking.modelVersionSourceRegex }}
{{- else -}}
{{- $prefixes := list "mlflow-artifacts:/" "models:/" "runs:/" "dummy-source$" "prompt-template$" -}}
{{- range prepend (.Values.tracking.artifactLocations | default list) .Values.storage.uri -}}
{{- if contains "://" . -}}
{{- $prefixes = append $prefixes (printf "%s/" (trimSuffix "/" . | regexQuoteMeta)) -}}
{{- end -}}
{{- end -}}
^({{ join "|" $prefixes }})
{{- end -}}
{{- end }}

{{/* A storage URI without a scheme is a path on a volume of the chart's own. */}}
{{- define "mlflow.storage.hasVolume" -}}
{{- if not (contains "://" .Values.storage.uri) -}}true{{- end -}}
{{- end }}

{{/*
The host by which uvicorn listens at IPv6 and IPv4. For several workers it opens one socket, which answers both at ::; for
one worker asyncio opens it, and takes :: for IPv6 alone.
*/}}
{{- define "mlflow.tracking.everyAddress" -}}
{{- if gt (include "mlflow.workers" . | int) 1 -}}::{{- end -}}
{{- end }}

{{/*
The application in front of MLflow. MLflow finds it by name as it finds every application: by the entry point of a
package on Python's path.
*/}}
{{- define "mlflow.tracking.appFolder" -}}/mlflow/app{{- end }}

{{- define "mlflow.tracking.app" -}}
METADATA: |
  Metadata-Version: 2.1
  Name: nebari-mlflow-server
  Version: {{ .Chart.Version }}
entry_points.txt: |
  [mlflow.app]
  nebari-mlflow = nebari_mlflow_server.app:create_app
{{- range $path, $_ := .Files.Glob "files/nebari_mlflow_server/*.py" }}
{{ base $path }}: |
  {{- $.Files.Get $path | nindent 2 }}
{{- end }}
{{- end }}

{{/* A ConfigMap's keys have no directories, so the volume puts the files into theirs. */}}
{{- define "mlflow.tracking.appFiles" -}}
{{- range list "METADATA" "entry_points.txt" }}
- {key: {{ . }}, path: nebari_mlflow_server-{{ $.Chart.Version }}.dist-info/{{ . }}}
{{- end }}
{{- range $path, $_ := .Files.Glob "files/nebari_mlflow_server/*.py" }}
- {key: {{ base $path }}, path: {{ ternary "" "nebari_mlflow_server/" (eq (base $path) "sitecustomize.py") }}{{ base $path }}}
{{- end }}
{{- end }}

{{/* A file of files/monitoring with the release's names. It is no template: Prometheus has braces of its own. */}}
{{- define "mlflow.monitoring" -}}
{{- $root := first . -}}
{{- $name := include "mlflow.fullname" $root -}}
{{- $namespace := $root.Release.Namespace -}}
{{- $uid := printf "%s/%s" $namespace $name | sha256sum | trunc 16 -}}
{{- $backup := mul 3600 $root.Values.backup.warnAfterHours | toString -}}
{{ $root.Files.Get (printf "files/monitoring/%s" (last .)) | replace "@name@" $name | replace "@namespace@" $namespace | replace "@uid@" $uid | replace "@backupSeconds@" $backup | trim }}
{{- end }}
