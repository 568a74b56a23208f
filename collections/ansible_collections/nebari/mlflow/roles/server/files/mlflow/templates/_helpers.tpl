{{/*
Names, labels, images and security: what every manifest uses.
*/}}
{{- define "mlflow.name" -}}
{{ .Values.nameOverride | default .Chart.Name }}
{{- end }}

{{/* Prefix of every name. The release's name by itself: other programs know `<release>-tracking`. */}}
{{- define "mlflow.fullname" -}}
{{ .Values.fullnameOverride | default .Release.Name }}
{{- end }}

{{- define "mlflow.chart" -}}
{{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* A manifest adds app.kubernetes.io/component. Selectors are immutable: they never change. */}}
{{- define "mlflow.selectorLabels" -}}
app.kubernetes.io/name: {{ include "mlflow.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "mlflow.labels" -}}
{{ include "mlflow.selectorLabels" . }}
app.kubernetes.io/part-of: mlflow
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ include "mlflow.chart" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* A pod's labels. Call with (list $ "component" labels…); later labels win, but what selectors name stays. */}}
{{- define "mlflow.podLabels" -}}
{{- $root := first . -}}
{{- $labels := merge (dict) ($root.Values.commonLabels | default dict) -}}
{{- range slice . 2 -}}{{- $labels = mergeOverwrite $labels (. | default dict) -}}{{- end -}}
{{- $own := include "mlflow.selectorLabels" $root | fromYaml -}}
{{ mergeOverwrite $labels $own (dict "app.kubernetes.io/component" (index . 1)) | toYaml }}
{{- end }}

{{/* A pod's annotations: those of `given`, and what the chart itself notes. Call with (list own given). */}}
{{- define "mlflow.podAnnotations" -}}
{{ merge (dict) (first .) (last . | default dict) | toYaml }}
{{- end }}

{{- define "mlflow.serviceAccountName" -}}
{{ .Values.serviceAccount.name | default (include "mlflow.fullname" .) }}
{{- end }}

{{/* Secrets that exist before the release. */}}
{{- define "mlflow.keysSecret" -}}
{{ .Values.secrets.keys | default (printf "%s-keys" (include "mlflow.fullname" .)) }}
{{- end }}

{{- define "mlflow.postgresqlSecret" -}}
{{ .Values.postgresql.auth.existingSecret | default (printf "%s-postgresql" (include "mlflow.fullname" .)) }}
{{- end }}

{{/* Whether the server asks who sends a request. */}}
{{- define "mlflow.access.users" -}}
{{- if eq .Values.access.mode "users" -}}true{{- end -}}
{{- end }}

{{- define "mlflow.access.secret" -}}
{{ .Values.access.secret | default (printf "%s-access" (include "mlflow.fullname" .)) }}
{{- end }}

{{/* How the release's own pods make themselves known. */}}
{{- define "mlflow.access.clientEnv" -}}
{{- if include "mlflow.access.users" . }}
- name: MLFLOW_TRACKING_TOKEN
  valueFrom: {secretKeyRef: {name: {{ include "mlflow.access.secret" . }}, key: token}}
{{- end }}
{{- end }}

{{- define "mlflow.trackingUri" -}}
http://{{ include "mlflow.fullname" . }}-tracking.{{ .Release.Namespace }}.svc:{{ .Values.tracking.service.port }}
{{- end }}

{{- define "mlflow.image" -}}
{{ include "mlflow.imageReference" (dict "root" . "image" .Values.image "tag" (printf "v%s-full" .Chart.AppVersion)) }}
{{- end }}

{{- define "mlflow.postgresqlImage" -}}
{{ include "mlflow.imageReference" (dict "root" . "image" .Values.postgresql.image "tag" "") }}
{{- end }}

{{/* Call with (dict "root" $ "image" .Values.x.image "tag" "default tag"). */}}
{{- define "mlflow.imageReference" -}}
{{- $registry := .root.Values.global.imageRegistry | default .image.registry -}}
{{- $name := ternary .image.repository (printf "%s/%s" $registry .image.repository) (empty $registry) -}}
{{- if .image.digest -}}
{{ $name }}@{{ .image.digest }}
{{- else -}}
{{ $name }}:{{ .image.tag | default .tag }}
{{- end -}}
{{- end }}

{{- define "mlflow.pullSecrets" -}}
{{- with .Values.image.pullSecrets -}}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Where a pod may run. Call with a block of values that has these keys. */}}
{{- define "mlflow.scheduling" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* A pod's securityContext. Call with (list $ "mlflowId") or (list $ "postgresqlId"). */}}
{{- define "mlflow.podSecurity" -}}
{{- $security := (first .).Values.security -}}
{{- $id := get $security (last .) | int64 -}}
{{- $ids := ternary (dict "runAsUser" $id "runAsGroup" $id "fsGroup" $id) (dict) (eq $security.ids "chart") -}}
{{ merge (dict) ($security.pod | default dict) $ids | toYaml }}
{{- end }}

{{- define "mlflow.containerSecurity" -}}
{{ .Values.security.container | default dict | toYaml }}
{{- end }}

{{/* Of a Secret's files. A platform that gives a user may give no fsGroup; then only others' rights let it read. */}}
{{- define "mlflow.secretMode" -}}
{{ ternary "0440" "0444" (eq .Values.security.ids "chart") }}
{{- end }}
