{{/*
Backup, restore and drill: where backups are kept, what is in them, and when they are made.
*/}}
{{/* Beside the artifacts and never below them: what is below them, every client of MLflow can read and delete. */}}
{{- define "mlflow.backup.destination" -}}
{{- $uri := trimSuffix "/" .Values.storage.uri -}}
{{- if .Values.backup.destination -}}
{{ trimSuffix "/" .Values.backup.destination }}
{{- else if not (contains "://" $uri) -}}
{{- if or .Values.backup.volume.create .Values.backup.schedule -}}/mlflow/backups{{- end -}}
{{- else if regexMatch "^[a-z0-9+]+://[^/]+/." $uri -}}
{{ $uri }}-backups
{{- end -}}
{{- end }}

{{- define "mlflow.backup.hasVolume" -}}
{{- $destination := include "mlflow.backup.destination" . -}}
{{- if and $destination (not (contains "://" $destination)) -}}true{{- end -}}
{{- end }}

{{- define "mlflow.backup.scripts" -}}
{{- range $path, $_ := .Files.Glob "files/nebari_mlflow_backup/*" }}
{{ base $path }}: |
  {{- $.Files.Get $path | nindent 2 }}
{{- end }}
{{- end }}

{{- define "mlflow.backup.env" -}}
{{ include "mlflow.migrate.env" . }}
- name: PGAPPNAME
  value: mlflow-backup
- name: PYTHONPATH
  value: /mlflow/scripts
- name: BACKUP_OF
  value: {{ .Release.Namespace }}/{{ .Release.Name }}
- name: BACKUP_DESTINATION
  value: {{ include "mlflow.backup.destination" . | quote }}
- name: BACKUP_RECIPIENTS
  value: {{ .Values.backup.recipients | default list | toJson | quote }}
- name: BACKUP_ARTIFACTS
  value: {{ .Values.backup.artifacts }}
- name: BACKUP_KEEP_LAST
  value: {{ .Values.backup.keepLast | quote }}
- name: BACKUP_KEEP_DAYS
  value: {{ .Values.backup.keepDays | quote }}
- name: ARTIFACTS_DESTINATION
  value: {{ .Values.storage.uri | quote }}
- name: GC_DAYS
  value: {{ .Values.gc.olderThanDays | quote }}
- name: MLFLOW_TRACKING_URI
  value: {{ include "mlflow.trackingUri" . }}
{{- with include "mlflow.access.clientEnv" . | trim }}
{{ . }}
{{- end }}
- name: DIRECT_HOST
  value: {{ .Values.backup.database.host | quote }}
- name: DIRECT_PORT
  value: {{ .Values.backup.database.port | default "" | quote }}
{{- if .Values.postgresql.enabled }}
- name: DATABASE_VOLUME
  value: {{ .Values.postgresql.primary.persistence.size | quote }}
{{- end }}
- name: MLFLOW_VERSION
  value: {{ include "mlflow.backup.version" . | quote }}
- name: CHART_VERSION
  value: {{ .Chart.Version | quote }}
{{- range $name, $value := .Values.storage.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* MLflow's version as the image's tag has it. */}}
{{- define "mlflow.backup.version" -}}
{{ regexFind "[0-9]+\\.[0-9]+\\.[0-9]+" .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/*
The release's own Secrets, by the part that they play: in another release they have other names. `other` are the keys that
a rotation adds for as long as it runs.
*/}}
{{- define "mlflow.backup.secrets" -}}
keys:
  name: {{ include "mlflow.keysSecret" . }}
  keys: [MLFLOW_CRYPTO_KEK_PASSPHRASE, MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY, MLFLOW_FLASK_SERVER_SECRET_KEY]
  other: [MLFLOW_CRYPTO_KEK_PASSPHRASE, MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY]
{{- if .Values.postgresql.enabled }}
postgresql:
  name: {{ include "mlflow.postgresqlSecret" . }}
  keys: [postgres-password, password]
  other: [postgres-password, password]
{{- end }}
{{- end }}

{{/* Call with (list $ name schedule arguments). Suspended without a schedule: it is what a run by hand is made from. */}}
{{- define "mlflow.backup.cronjob" -}}
{{- $ := first . -}}
{{- $name := index . 1 -}}
{{- $schedule := index . 2 -}}
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {{ include "mlflow.fullname" $ }}-{{ $name }}
  namespace: {{ $.Release.Namespace }}
  labels:
    {{- include "mlflow.labels" $ | nindent 4 }}
    app.kubernetes.io/component: backup
  annotations:
    mlflow.nebari.dev/warn-after-hours: {{ $.Values.backup.warnAfterHours | quote }}
spec:
  schedule: {{ $schedule | default "0 3 * * *" | quote }}
  suspend: {{ empty $schedule }}
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 3600
  successfulJobsHistoryLimit: 2
  failedJobsHistoryLimit: 2
  jobTemplate:
    metadata:
      labels:
        {{- include "mlflow.selectorLabels" $ | nindent 8 }}
        app.kubernetes.io/component: backup
        mlflow.nebari.dev/task: {{ $name }}
    spec:
      backoffLimit: 2
      activeDeadlineSeconds: {{ $.Values.backup.timeoutSeconds }}
      # Exit code 78: another try would end the same way.
      podFailurePolicy:
        rules:
          - action: FailJob
            onExitCodes: {containerName: backup, operator: In, values: [78]}
          - action: Ignore
            onPodConditions: [{type: DisruptionTarget, status: "True"}]
      template:
        {{- include "mlflow.backup.pod" (list $ (last .)) | nindent 8 }}
{{- end }}
