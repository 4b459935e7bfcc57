{{/* What all Pods of a release have of their specification. */}}
{{- define "postroom.pod" -}}
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Ports and probes of a container. */}}
{{- define "postroom.probes" -}}
{{- $healthPort := include "postroom.healthPort" . }}
{{- $metricsPort := include "postroom.metricsPort" . }}
{{- if or $healthPort $metricsPort }}
ports:
  {{- with $healthPort }}
  - {name: http, containerPort: {{ . }}}
  {{- end }}
  {{- with $metricsPort }}
  - {name: metrics, containerPort: {{ . }}}
  {{- end }}
{{- end }}
{{- if $healthPort }}
startupProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 2
  failureThreshold: 60
readinessProbe:
  httpGet: {path: /readyz, port: http}
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 20
  failureThreshold: 3
{{- end }}
{{- end }}

{{/* What is mounted in all containers, and whence. */}}
{{- define "postroom.mounts" -}}
{{- if include "postroom.metricsSecret" . }}
- {name: metrics-tls, mountPath: /etc/postroom/metrics-tls, readOnly: true}
{{- end }}
{{- if .Values.caBundle.name }}
- {name: ca-bundle, mountPath: /etc/postroom/ca, readOnly: true}
{{- end }}
{{- end }}

{{- define "postroom.volumes" -}}
{{- with include "postroom.metricsSecret" . }}
- {name: metrics-tls, secret: {secretName: {{ . | quote }}}}
{{- end }}
{{- with .Values.caBundle }}
{{- if .name }}
- name: ca-bundle
  {{- if eq .kind "Secret" }}
  secret: {secretName: {{ .name | quote }}, items: [{key: {{ .key | quote }}, path: {{ .key | quote }}}]}
  {{- else }}
  configMap: {name: {{ .name | quote }}, items: [{key: {{ .key | quote }}, path: {{ .key | quote }}}]}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}
