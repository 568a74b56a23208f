{{/*
The application in front of MLflow. MLflow finds it by name as it finds every application: by the entry point of a
package on Python's path. A ConfigMap's keys have no folders, so the volume puts the files into theirs.
*/}}
{{- define "mlflow.tracking.appFolder" -}}/mlflow/app{{- end }}

{{- define "mlflow.tracking.app" -}}
METADATA: |
  Metadata-Version: 2.1
  Name: nebari-mlflow-server
  Version: {{ .Chart.Version }}
entry_points.txt: |
  [mlflow.app]
  nebari-mlflow = nebari_mlflow_server.app:create_app
{{- range $path, $_ := .Files.Glob "files/nebari_mlflow_server/*.py" }}
{{ base $path }}: |
  {{- $.Files.Get $path | nindent 2 }}
{{- end }}
{{- end }}

{{- define "mlflow.tracking.appVolume" -}}
- name: app
  configMap:
    name: {{ include "mlflow.tracking.name" . }}-app
    defaultMode: 0444
    items:
      {{- range list "METADATA" "entry_points.txt" }}
      - {key: {{ . }}, path: nebari_mlflow_server-{{ $.Chart.Version }}.dist-info/{{ . }}}
      {{- end }}
      {{- range $path, $_ := .Files.Glob "files/nebari_mlflow_server/*.py" }}
      - {key: {{ base $path }}, path: nebari_mlflow_server/{{ base $path }}}
      {{- end }}
{{- end }}
