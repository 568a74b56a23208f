{{/* Notebooks, Dask pods, what carries our label, the release's own pods and the ingress controller. */}}
{{- define "mlflow.tracking.networkIngress" -}}
- from:
    - podSelector:
        matchLabels: {component: singleuser-server}
    - podSelector:
        matchExpressions:
          - {key: gateway.dask.org/cluster, operator: Exists}
    - podSelector:
        matchLabels: {mlflow.nebari.dev/client: "true"}
    - podSelector:
        matchLabels:
          app.kubernetes.io/name: mlflow
          app.kubernetes.io/instance: {{ .Release.Name }}
        matchExpressions:
          - {key: app.kubernetes.io/component, operator: In, values: [run, verify]}
    {{- range concat .Values.networkPolicy.ingressController .Values.networkPolicy.clients .Values.networkPolicy.monitoring }}
    - {{ toYaml . | nindent 6 | trim }}
    {{- end }}
  ports:
    - {protocol: TCP, port: 5000}
{{- with .Values.networkPolicy.extraIngress }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* To the metadata services that hand out the identity's tokens: none that the storage does not name. */}}
{{- define "mlflow.network.metadata" -}}
{{- range .Values.storage.network.metadata }}
- to:
    - ipBlock: {cidr: {{ .cidr | quote }}}
  ports:
    - {protocol: TCP, port: {{ .port }}}
{{- end }}
{{- end }}
