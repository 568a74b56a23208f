{{/*
Refusals of what the schema cannot express, each with the key, the value and the way out, and warnings.
*/}}
{{- define "mlflow.validate.version" -}}
{{- $version := regexFind "^v?[0-9]+\\.[0-9]+\\.[0-9]+" .Values.image.tag | trimPrefix "v" -}}
{{- if and $version (semverCompare "<3.17.0" $version) -}}
{{- fail (printf "image.tag %q is MLflow %s; at least 3.17.0 is needed: older ones have known holes (webhook SSRF, a public admin password) and other settings." .Values.image.tag $version) -}}
{{- end -}}
{{- end }}

{{- define "mlflow.validate.database" -}}
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
{{- if and $external.caSecret $external.caConfigMap -}}
{{- fail "externalDatabase.caSecret and externalDatabase.caConfigMap are both set: the authority's certificate comes from one of them. Empty the other." -}}
{{- end -}}
{{- if and $external.host $external.existingSecretUriKey -}}
{{- fail "externalDatabase.host and externalDatabase.existingSecretUriKey are both set: the whole URI comes from the Secret, or its parts come from here. Empty one." -}}
{{- end -}}
{{- end }}

{{- define "mlflow.validate.storage" -}}
{{- $storage := .Values.storage -}}
{{- if regexMatch "^(file|http|https|mlflow-artifacts|runs|models|dbfs):" $storage.uri -}}
{{- fail (printf "storage.uri %q cannot hold artifacts behind the server: use an object store's URI (s3://bucket/path, gs://…, wasbs://…) or an absolute path on the chart's volume (/mlflow/artifacts)." $storage.uri) -}}
{{- end -}}
{{- /* As values.yaml has it, which a template cannot read: values that differ were set by someone. */ -}}
{{- $untouched := dict "size" "20Gi" "storageClass" "" "accessMode" "ReadWriteOnce" -}}
{{- if and (contains "://" $storage.uri) (ne (toJson $storage.volume) (toJson $untouched)) -}}
{{- fail (printf "storage.volume is set but storage.uri %q is an object store, which uses no volume: remove storage.volume, or set storage.uri to a path." $storage.uri) -}}
{{- end -}}
{{- $writable := list "/tmp" "/mlflow" "/mlflow/scripts" "/mlflow/app" "/mlflow/database" "/mlflow/database-ca" "/mlflow/kubernetes" -}}
{{- if or (has (trimSuffix "/" $storage.uri) $writable) (hasPrefix "/tmp/" $storage.uri) -}}
{{- fail (printf "storage.uri %q is taken by the chart's own files: use another path, such as /mlflow/artifacts." $storage.uri) -}}
{{- end -}}
{{- end }}

{{- define "mlflow.validate.route" -}}
{{- $route := .Values.route -}}
{{- if ne $route.type "none" -}}
{{- if not $route.domain -}}
{{- fail (printf "route.type is %q but route.domain is empty: set it to the UI's host name, such as mlflow.example.org." $route.type) -}}
{{- end -}}
{{- if and (regexMatch "^[0-9.]+$" $route.domain) (ne $route.type "traefik") -}}
{{- fail (printf "route.domain %q is an IP address, which route.type %q does not take as a host: use a host name, or route.type traefik." $route.domain $route.type) -}}
{{- end -}}
{{- include "mlflow.validate.login" . -}}
{{- $prefix := include "mlflow.route.prefix" . -}}
{{- if and (eq $route.type "nebariapp") $prefix -}}
{{- fail (printf "route.path %q: a NebariApp cannot strip a prefix; set route.path to / and give MLflow a host name of its own." $route.path) -}}
{{- end -}}
{{- if and (eq $route.type "ingress") $prefix (not $route.ingress.annotations) -}}
{{- fail (printf "route.path %q: an Ingress strips a prefix only by its controller's annotations; set route.ingress.annotations (README), or route.path to / and a host name of its own." $route.path) -}}
{{- end -}}
{{- if and (eq $route.type "gateway") (not $route.gateway.parentRefs) -}}
{{- fail "route.gateway.parentRefs is empty: name the Gateway that the HTTPRoute belongs to, such as [{name: public, namespace: gateways}]." -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* On GKE, a service account's annotation is worth nothing without the metadata server. */}}
{{- define "mlflow.validate.identity" -}}
{{- $annotations := merge (dict) (.Values.storage.serviceAccountAnnotations | default dict) (.Values.serviceAccount.annotations | default dict) -}}
{{- if and .Values.networkPolicy.enabled (hasKey $annotations "iam.gke.io/gcp-service-account") (not .Values.storage.network.metadata) -}}
{{- fail "The service account has a Google identity (iam.gke.io/gcp-service-account), but storage.network.metadata lets the server reach no metadata server: set it to [{cidr: 169.254.169.254/32, port: 80}, {cidr: 169.254.169.254/32, port: 8080}, {cidr: 169.254.169.252/32, port: 987}, {cidr: 169.254.169.252/32, port: 988}]." -}}
{{- end -}}
{{- end }}

{{/* Arguments that would undo what values set or what the variables above must not; MLflow takes none abbreviated. */}}
{{- define "mlflow.validate.arguments" -}}
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
{{- include "mlflow.validate.uvicorn" (trimPrefix "--uvicorn-opts=" $argument) -}}
{{- end -}}
{{- $previous = $argument -}}
{{- end -}}
{{- end }}

{{/* Options of uvicorn that take the server off its address, its application or its knowledge of who asks. */}}
{{- define "mlflow.validate.uvicorn" -}}
{{- with regexFind "(^|[\\s\"'])--(host|port|uds|fd|workers|reload[a-z-]*|factory|app-dir|env-file|interface|root-path|proxy-headers|forwarded-allow-ips)\\b" . -}}
{{- fail (printf "tracking.extraArgs must not give uvicorn %s: the server would listen elsewhere, run without its checks, or believe clients who they are." (regexFind "--.*" .)) -}}
{{- end -}}
{{- end }}

{{/* Variables with which MLflow refuses to start, or that would undo what the chart computes. */}}
{{- define "mlflow.validate.environment" -}}
{{- $refused := dict "MLFLOW_WORKSPACE" "it belongs to clients and the server does not start with it" "MLFLOW_DEFAULT_ARTIFACT_ROOT" "clients would go past the server to the store; use storage.uri" -}}
{{- $_ := set $refused "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE" "it switches host and origin checks off; use tracking.allowedHosts and tracking.corsAllowedOrigins" -}}
{{- $_ := set $refused "MLFLOW_SERVER_ALLOWED_HOSTS" "it is computed; use tracking.allowedHosts" -}}
{{- $_ := set $refused "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS" "it is computed; use tracking.corsAllowedOrigins" -}}
{{- $_ := set $refused "NEBARI_MLFLOW_ARTIFACT_LOCATIONS" "it is computed; use tracking.artifactLocations" -}}
{{- range list "NEBARI_MLFLOW_ACCESS" "NEBARI_MLFLOW_SERVICE_TOKEN" "NEBARI_MLFLOW_HUB_TOKEN" "MLFLOW_AUTH_CONFIG_PATH" "MLFLOW_BASIC_AUTH_FAIL_CLOSED" "MLFLOW_SERVER_ENABLE_GRAPHQL_AUTH" -}}
{{- $_ := set $refused . "who may do what is decided by access" -}}
{{- end -}}
{{- range list "MLFLOW_SERVER_JUDGE_INVOKE_MAX_WORKERS" "MLFLOW_SERVER_ONLINE_SCORING_MAX_WORKERS" -}}
{{- $_ := set $refused . "memory is reckoned with the jobs that may run; use tracking.jobs" -}}
{{- end -}}
{{- $_ := set $refused "MLFLOW_GUNICORN_OPTS" "it starts MLflow without the application that checks requests; size the server by tracking.workers" -}}
{{- $_ := set $refused "MLFLOW_STATIC_PREFIX" "the route strips the prefix; use route.path" -}}
{{- $_ := set $refused "MLFLOW_ARTIFACTS_ONLY" "the server would answer nothing but artifacts" -}}
{{- $_ := set $refused "FORWARDED_ALLOW_IPS" "a client could pass for the pod itself, which MLflow trusts" -}}
{{- $entries := list -}}
{{- range $name, $value := .Values.storage.env -}}
{{- $entries = append $entries (dict "name" $name "value" $value) -}}
{{- end -}}
{{- range concat $entries (.Values.tracking.extraEnvVars | default list) -}}
{{- $name := .name -}}
{{- with get $refused $name -}}
{{- fail (printf "tracking.extraEnvVars and storage.env must not set %s: %s." $name .) -}}
{{- end -}}
{{- if hasPrefix "UVICORN_" $name -}}
{{- fail (printf "tracking.extraEnvVars and storage.env must not set %s: uvicorn's options go into tracking.extraArgs, as in [\"--uvicorn-opts=--timeout-keep-alive=120\"]." $name) -}}
{{- end -}}
{{- if eq $name "MLFLOW_UVICORN_OPTS" -}}
{{- include "mlflow.validate.uvicorn" (.value | default "" | toString) -}}
{{- end -}}
{{- $folder := include "mlflow.tracking.appFolder" $ -}}
{{- if and (eq $name "PYTHONPATH") (not (has $folder (splitList ":" (.value | default "" | toString)))) -}}
{{- fail (printf "tracking.extraEnvVars sets PYTHONPATH without %s, where the server's application is found: set it to %s:%s." $folder $folder (.value | default "/your/modules")) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Allowed choices that may surprise, one a line. NOTES.txt shows them. */}}
{{- define "mlflow.warnings" -}}
{{- if not .Values.networkPolicy.enabled }}
networkPolicy.enabled is false: every pod of the cluster can read and change everything in MLflow, which has no login.
{{- end }}
{{- if .Values.route.externalAuthentication }}
route.externalAuthentication is true: nothing that this chart creates asks for a login at {{ .Values.route.domain }}.
{{- end }}
{{- if and .Values.networkPolicy.enabled (hasPrefix "gs://" .Values.storage.uri) (not .Values.storage.secret) (not .Values.storage.network.metadata) }}
storage.network.metadata is empty and storage.secret too: on GKE, the server reaches no metadata server, so it gets no identity. The README has the addresses.
{{- end }}
{{- if eq .Values.tracking.strategy.type "RollingUpdate" }}
tracking.strategy.type is RollingUpdate: an upgrade to another database schema waits until the server is scaled to 0.
{{- end }}
{{- if .Values.tracking.modelCodeExecution }}
tracking.modelCodeExecution is true: anyone who can register a model can run code in the server.
{{- end }}
{{- include "mlflow.warnings.tokens" . }}
{{- include "mlflow.warnings.database" . }}
{{- if ne .Values.tracking.service.type "ClusterIP" }}
tracking.service.type is {{ .Values.tracking.service.type }}: the server is reachable from outside the cluster without a login, as far as networkPolicy lets it.
{{- end }}
{{- end }}

{{- define "mlflow.warnings.database" -}}
{{- $external := .Values.externalDatabase -}}
{{- if not .Values.postgresql.enabled }}
{{- if not (or (eq $external.sslMode "verify-full") (and (or $external.caSecret $external.caConfigMap) (has $external.sslMode (list "require" "verify-ca")))) }}
externalDatabase.sslMode is {{ $external.sslMode }}: whoever answers at the database's address can read and change everything in it. Use verify-full, with the authority's certificate in caSecret or caConfigMap if it is your own.
{{- end }}
{{- if ne $external.requireAuth "scram-sha-256" }}
externalDatabase.requireAuth is {{ $external.requireAuth | default "empty" }}: a server that is not the database may get the password, or enough to guess it. Store it as SCRAM and use scram-sha-256.
{{- end }}
{{- end }}
{{- if .Values.secrets.acceptLostKeys }}
secrets.acceptLostKeys is true: a migration disables webhooks whose secret it cannot decrypt. Remove it once the server is ready.
{{- end }}
{{- end }}
