{{/* /health answers without the database; readiness reads an experiment from it. */}}
{{- define "mlflow.tracking.probes" -}}
startupProbe:
  httpGet: {path: /health, port: http}
  periodSeconds: 1
  failureThreshold: 300
  timeoutSeconds: 5
readinessProbe:
  httpGet:
    path: /api/2.0/mlflow/experiments/search?max_results=1
    port: http
    httpHeaders: [{name: Host, value: localhost}]
  periodSeconds: 5
  failureThreshold: 3
  timeoutSeconds: 10
livenessProbe:
  httpGet: {path: /health, port: http}
  periodSeconds: 10
  failureThreshold: 6
  timeoutSeconds: 10
{{- end }}
