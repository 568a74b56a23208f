{{/* Variables with which MLflow refuses to start, or that would undo what the chart computes. */}}
{{- define "mlflow.checks.environment" -}}
{{- $refused := dict "MLFLOW_WORKSPACE" "it belongs to clients and the server does not start with it" "MLFLOW_DEFAULT_ARTIFACT_ROOT" "clients would go past the server to the store; use storage.uri" -}}
{{- $_ := set $refused "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE" "it switches host and origin checks off; use tracking.allowedHosts and tracking.corsAllowedOrigins" -}}
{{- $_ := set $refused "MLFLOW_SERVER_ALLOWED_HOSTS" "it is computed; use tracking.allowedHosts" -}}
{{- $_ := set $refused "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS" "it is computed; use tracking.corsAllowedOrigins" -}}
{{- $_ := set $refused "NEBARI_MLFLOW_ARTIFACT_LOCATIONS" "it is computed; use tracking.artifactLocations" -}}
{{- $_ := set $refused "MLFLOW_GUNICORN_OPTS" "it starts MLflow without the application that checks requests; size the server by tracking.workers" -}}
{{- $_ := set $refused "MLFLOW_STATIC_PREFIX" "the route strips the prefix; use route.path" -}}
{{- $_ := set $refused "MLFLOW_ARTIFACTS_ONLY" "the server would answer nothing but artifacts" -}}
{{- $_ := set $refused "FORWARDED_ALLOW_IPS" "a client could pass for the pod itself, which MLflow trusts" -}}
{{- $entries := list -}}
{{- range $name, $value := .Values.storage.env -}}
{{- $entries = append $entries (dict "name" $name "value" $value) -}}
{{- end -}}
{{- range concat $entries .Values.tracking.extraEnvVars -}}
{{- $name := .name -}}
{{- with get $refused $name -}}
{{- fail (printf "tracking.extraEnvVars and storage.env must not set %s: %s." $name .) -}}
{{- end -}}
{{- if hasPrefix "UVICORN_" $name -}}
{{- fail (printf "tracking.extraEnvVars and storage.env must not set %s: uvicorn's options go into tracking.extraArgs, as in [\"--uvicorn-opts=--timeout-keep-alive=120\"]." $name) -}}
{{- end -}}
{{- if eq $name "MLFLOW_UVICORN_OPTS" -}}
{{- include "mlflow.checks.uvicorn" (.value | default "" | toString) -}}
{{- end -}}
{{- $folder := include "mlflow.tracking.appFolder" $ -}}
{{- if and (eq $name "PYTHONPATH") (not (has $folder (splitList ":" (.value | default "" | toString)))) -}}
{{- fail (printf "tracking.extraEnvVars sets PYTHONPATH without %s, where the server's application is found: set it to %s:%s." $folder $folder (.value | default "/your/modules")) -}}
{{- end -}}
{{- end -}}
{{- end }}
