{{- define "mlflow.migrate.pod" -}}
metadata:
  labels:
    {{- include "mlflow.selector" (list . "migrate") | nindent 4 }}
    {{- with .Values.commonLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/scripts: {{ include "mlflow.migrate.scripts" . | sha256sum }}
spec:
  {{- with include "mlflow.pullSecrets" . }}
  {{- . | nindent 2 }}
  {{- end }}
  restartPolicy: Never
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .Values.tracking.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tracking.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- include "mlflow.podSecurity" 10001 | nindent 4 }}
  containers:
    - name: migrate
      image: {{ include "mlflow.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      command: [python3, /mlflow/scripts/migrate.py]
      env:
        {{- include "mlflow.migrate.env" . | nindent 8 }}
        - name: PGAPPNAME
          value: mlflow-migrate
      resources:
        {{- toYaml .Values.migrate.resources | nindent 8 }}
      securityContext:
        {{- include "mlflow.containerSecurity" . | nindent 8 }}
      volumeMounts:
        {{- include "mlflow.migrate.volumeMounts" . | nindent 8 }}
  volumes:
    - name: temporary
      emptyDir: {sizeLimit: 64Mi}
    - name: scripts
      configMap: {name: {{ include "mlflow.migrate.name" . }}, defaultMode: 0444}
    {{- with include "mlflow.database.volumes" . | trim }}
    {{- . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* A Job's template is immutable, so its name carries a hash of it: another template is another Job. */}}
{{- define "mlflow.migrate.jobName" -}}
{{ include "mlflow.migrate.name" . }}-{{ include "mlflow.migrate.pod" . | sha256sum | trunc 8 }}
{{- end }}
