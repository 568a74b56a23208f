{{- define "mlflow.postgresql.podLabels" -}}
{{ include "mlflow.selector" (list . "postgresql") }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- with .Values.postgresql.primary.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "mlflow.postgresql.scheduling" -}}
{{- with .Values.postgresql.primary.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.postgresql.primary.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.postgresql.primary.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "mlflow.postgresql.scripts" -}}
{{- range $name := list "start.sh" "mlflow.sql" }}
{{ $name }}: |
  {{- $.Files.Get (printf "files/postgresql/%s" $name) | nindent 2 }}
{{- end }}
{{- end }}

{{- define "mlflow.postgresql.volumes" -}}
- name: scripts
  configMap: {name: {{ include "mlflow.postgresql.name" . }}, defaultMode: 0444}
- name: passwords
  secret: {secretName: {{ include "mlflow.postgresql.secret" . }}, defaultMode: 0440}
- name: run
  emptyDir: {sizeLimit: 16Mi}
- name: temporary
  emptyDir: {sizeLimit: 64Mi}
- name: shared-memory
  emptyDir: {medium: Memory, sizeLimit: 256Mi}
{{- end }}
