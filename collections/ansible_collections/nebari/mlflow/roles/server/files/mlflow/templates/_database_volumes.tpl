{{- define "mlflow.database.volumeMounts" -}}
{{- include "mlflow.database.mounts" (list . true) }}
{{- end }}

{{/* List of the root and whether the pod's own directory is read-only in this container. */}}
{{- define "mlflow.database.mounts" -}}
{{- $root := first . -}}
{{- if not $root.Values.postgresql.enabled }}
- {name: database, mountPath: {{ include "mlflow.database.directory" $root }}, readOnly: {{ last . }}}
{{- if $root.Values.externalDatabase.caSecret }}
- {name: database-ca, mountPath: /mlflow/database-ca, readOnly: true}
{{- end }}
{{- end }}
{{- end }}

{{/* In memory: what is in it may hold the password. */}}
{{- define "mlflow.database.volumes" -}}
{{- if not .Values.postgresql.enabled }}
- name: database
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
{{- with .Values.externalDatabase.caSecret }}
- name: database-ca
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end }}
{{- end }}
