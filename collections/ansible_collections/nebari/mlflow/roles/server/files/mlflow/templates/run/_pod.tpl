{{/* One pod, as a Deployment's or as a Job's. Its NetworkPolicy lets it reach the server. */}}
{{- define "mlflow.run.pod" -}}
metadata:
  labels:
    {{- include "mlflow.selector" (list . "run") | nindent 4 }}
  annotations:
    checksum/source: {{ .Values.run.source.configMap | toJson | sha256sum }}
spec:
  {{- with include "mlflow.pullSecrets" . }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- if .Values.run.useJob }}
  restartPolicy: Never
  {{- end }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext:
    {{- include "mlflow.podSecurity" 10001 | nindent 4 }}
  containers:
    - name: run
      image: {{ include "mlflow.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      {{- with .Values.run.source.launchCommand }}
      command: [sh, -c, {{ . | quote }}]
      {{- else }}
      {{- with .Values.run.command }}
      command:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.run.args }}
      args:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- end }}
      workingDir: /mlflow/source
      envFrom:
        - configMapRef: {name: {{ .Release.Name }}-client}
      env:
        {{- include "mlflow.environment.common" . | nindent 8 }}
        {{- with .Values.run.extraEnvVars }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      resources:
        {{- toYaml .Values.run.resources | nindent 8 }}
      securityContext:
        {{- include "mlflow.containerSecurity" . | nindent 8 }}
      volumeMounts:
        - {name: source, mountPath: /mlflow/source, readOnly: true}
        - {name: temporary, mountPath: /tmp}
  volumes:
    - name: temporary
      emptyDir: {sizeLimit: 512Mi}
    - name: source
      configMap: {name: {{ include "mlflow.run.configMap" . }}}
{{- end }}
