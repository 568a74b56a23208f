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
{{- end }}

{{/* Pod Security "restricted". MLflow's image names no user, so it gets 10001; postgres is 999 in its image. */}}
{{- define "mlflow.podSecurity" -}}
{{- $uid := . -}}
runAsNonRoot: true
runAsUser: {{ $uid }}
runAsGroup: {{ $uid }}
fsGroup: {{ $uid }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "mlflow.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end }}
