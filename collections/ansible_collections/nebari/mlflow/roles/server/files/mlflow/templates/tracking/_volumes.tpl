{{/* A storage URI without a scheme is a path on a volume of the chart's own. */}}
{{- define "mlflow.storage.hasVolume" -}}
{{- if not (contains "://" .Values.storage.uri) -}}true{{- end -}}
{{- end }}

{{- define "mlflow.tracking.volumeMounts" -}}
- {name: temporary, mountPath: /tmp}
- {name: app, mountPath: {{ include "mlflow.tracking.appFolder" . }}, readOnly: true}
{{- if include "mlflow.storage.hasVolume" . }}
- {name: artifacts, mountPath: {{ .Values.storage.uri }}}
{{- end }}
{{- with include "mlflow.database.volumeMounts" . | trim }}
{{- . | nindent 0 }}
{{- end }}
{{- with .Values.tracking.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "mlflow.tracking.volumes" -}}
- name: temporary
  emptyDir: {sizeLimit: {{ .Values.tracking.temporaryStorage.sizeLimit }}}
- name: scripts
  configMap: {name: {{ include "mlflow.migrate.name" . }}, defaultMode: 0444}
{{ include "mlflow.tracking.appVolume" . }}
{{- if include "mlflow.storage.hasVolume" . }}
- name: artifacts
  persistentVolumeClaim: {claimName: {{ include "mlflow.artifacts.name" . }}}
{{- end }}
{{- with include "mlflow.database.volumes" . | trim }}
{{- . | nindent 0 }}
{{- end }}
{{- with .Values.tracking.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
