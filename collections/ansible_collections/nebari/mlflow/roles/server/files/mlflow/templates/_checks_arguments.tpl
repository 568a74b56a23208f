{{/* Arguments that would undo what values set or what the variables above must not; MLflow takes none abbreviated. */}}
{{- define "mlflow.checks.arguments" -}}
{{- $app := "the server would start without the application that checks requests" -}}
{{- $database := "the database is set by postgresql or externalDatabase" -}}
{{- $proxy := "clients reach artifacts through the server only; use storage.uri" -}}
{{- $fixed := "it is fixed, since probes and Service rely on it" -}}
{{- $refused := dict "--disable-security-middleware" "it switches host and origin checks off; use tracking.allowedHosts and tracking.corsAllowedOrigins" "--allowed-hosts" "use tracking.allowedHosts" "--cors-allowed-origins" "use tracking.corsAllowedOrigins" -}}
{{- $refused = merge $refused (dict "--host" $fixed "-h" $fixed "--port" (printf "%s; use tracking.service.port" $fixed) "-p" (printf "%s; use tracking.service.port" $fixed) "--workers" "use tracking.workers" "-w" "use tracking.workers") -}}
{{- $refused = merge $refused (dict "--artifacts-destination" "use storage.uri" "--default-artifact-root" $proxy "--no-serve-artifacts" $proxy "--serve-artifacts" $proxy "--artifacts-only" "the server would answer nothing but artifacts") -}}
{{- $refused = merge $refused (dict "--app-name" $app "--gunicorn-opts" $app "--waitress-opts" $app "--dev" $app "--static-prefix" "the route strips the prefix; use route.path" "--expose-prometheus" "use tracking.metrics.enabled") -}}
{{- $refused = merge $refused (dict "--backend-store-uri" $database "--registry-store-uri" $database "--read-replica-backend-store-uri" "its password would be in the Deployment; set MLFLOW_READ_REPLICA_BACKEND_STORE_URI from a Secret in tracking.extraEnvVars") -}}
{{- $previous := "" -}}
{{- range .Values.tracking.extraArgs -}}
{{- $argument := toString . -}}
{{- $name := regexFind "^(--[^=\\s]+|-[A-Za-z])" $argument -}}
{{- with get $refused $name -}}
{{- fail (printf "tracking.extraArgs must not hold %s: %s." $name .) -}}
{{- end -}}
{{- if or (eq $name "--uvicorn-opts") (eq $previous "--uvicorn-opts") -}}
{{- include "mlflow.checks.uvicorn" (trimPrefix "--uvicorn-opts=" $argument) -}}
{{- end -}}
{{- $previous = $argument -}}
{{- end -}}
{{- end }}

{{/* Options of uvicorn that take the server off its address, its application or its knowledge of who asks. */}}
{{- define "mlflow.checks.uvicorn" -}}
{{- with regexFind "(^|[\\s\"'])--(host|port|uds|fd|workers|reload[a-z-]*|factory|app-dir|env-file|interface|root-path|proxy-headers|forwarded-allow-ips)\\b" . -}}
{{- fail (printf "tracking.extraArgs must not give uvicorn %s: the server would listen elsewhere, run without its checks, or believe clients who they are." (regexFind "--.*" .)) -}}
{{- end -}}
{{- end }}
