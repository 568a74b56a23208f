{{- define "mlflow.tracking.podLabels" -}}
{{ include "mlflow.selector" (list . "tracking") }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- with .Values.storage.pod_labels }}
{{ toYaml . }}
{{- end }}
{{- with .Values.tracking.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "mlflow.tracking.scheduling" -}}
{{- with .Values.tracking.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.tracking.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tracking.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tracking.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .Values.tracking.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml .Values.tracking.topologySpreadConstraints | nindent 2 }}
{{- else if gt (include "mlflow.maxReplicas" . | int) 1 }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "mlflow.selector" (list . "tracking") | nindent 8 }}
{{- end }}
{{- end }}
