{{/* A storage URI without a scheme is a path on a volume of the chart's own. */}}
{{- define "mlflow.storage.hasVolume" -}}
{{- if not (contains "://" .Values.storage.uri) -}}true{{- end -}}
{{- end }}

{{- define "mlflow.tracking.volumeMounts" -}}
- {name: temporary, mountPath: /tmp}
{{- if include "mlflow.storage.hasVolume" . }}
- {name: artifacts, mountPath: {{ .Values.storage.uri }}}
{{- end }}
{{- include "mlflow.database.volumeMounts" . | nindent 0 }}
{{- with .Values.tracking.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "mlflow.tracking.volumes" -}}
- name: temporary
  emptyDir: {sizeLimit: {{ .Values.tracking.temporaryStorage.sizeLimit }}}
- name: scripts
  configMap: {name: {{ include "mlflow.migrate.name" . }}, defaultMode: 0444}
{{- if include "mlflow.storage.hasVolume" . }}
- name: artifacts
  persistentVolumeClaim: {claimName: {{ include "mlflow.artifacts.name" . }}}
{{- end }}
{{- include "mlflow.database.volumes" . | nindent 0 }}
{{- with .Values.tracking.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
