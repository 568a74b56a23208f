{{/* An image's reference: call with (dict "root" $ "image" .Values.x.image "tag" "default tag"). */}}
{{- define "mlflow.imageReference" -}}
{{- $registry := .root.Values.global.imageRegistry | default .image.registry -}}
{{- $name := ternary .image.repository (printf "%s/%s" $registry .image.repository) (empty $registry) -}}
{{- if .image.digest -}}
{{ $name }}@{{ .image.digest }}
{{- else -}}
{{ $name }}:{{ .image.tag | default .tag }}
{{- end -}}
{{- end }}

{{- define "mlflow.image" -}}
{{ include "mlflow.imageReference" (dict "root" . "image" .Values.image "tag" (printf "v%s-full" .Chart.AppVersion)) }}
{{- end }}

{{- define "mlflow.postgresql.image" -}}
{{ include "mlflow.imageReference" (dict "root" . "image" .Values.postgresql.image "tag" "") }}
{{- end }}

{{- define "mlflow.pullSecrets" -}}
{{- with .Values.image.pullSecrets -}}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}
