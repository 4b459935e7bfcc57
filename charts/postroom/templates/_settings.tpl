{{/* What settings come to where another of them needs it, as JSON. */}}
{{- define "postroom.settings" -}}
{{- $settings := deepCopy .Values.settings }}
{{- if $settings.metricsAuth }}
{{- if not $settings.metricsAddress }}
{{- $_ := set $settings "metricsAddress" "[::]:8443" }}
{{- end }}
{{- if not $settings.metricsTlsDirectory }}
{{- $_ := set $settings "metricsTlsDirectory" "/etc/postroom/metrics-tls" }}
{{- end }}
{{- end }}
{{- toJson $settings }}
{{- end }}

{{/* Each setting as flags: --workers=512, --allow-bindings, --namespace=a --namespace=b. Kubernetes
reads $(NAME) in them, and $$ as $. */}}
{{- define "postroom.flags" -}}
{{- include "postroom.flagsOf" (include "postroom.settings" . | fromJson) }}
{{- end }}

{{/* The same of the settings that the worker has, too. */}}
{{- define "postroom.deliverFlags" -}}
{{- $shared := list "namespaces" "kubeconfig" "requireSecretConsent" "watchSecrets" "dnsResolvers" "dnsAuthoritativePort" "allowCidrs" "allowPorts" "allowTokenHosts" "probesPerTarget" "statusWritesPerSecond" "statusWriteBurst" "sweepInterval" "leaderElection" "leaderElectionNamespace" "healthAddress" "metricsAddress" "metricsTlsDirectory" "metricsAuth" "allowHttpHosts" "stuckAfter" "shutdownGrace" "logLevel" "logFormat" }}
{{- $settings := include "postroom.settings" . | fromJson }}
{{- range $key := keys $settings }}
{{- if not (has $key $shared) }}
{{- $_ := unset $settings $key }}
{{- end }}
{{- end }}
{{- include "postroom.flagsOf" $settings }}
{{- end }}

{{- define "postroom.flagsOf" -}}
{{- range $key, $value := . }}
{{- $flag := printf "--%s" (kebabcase $key) }}
{{- if kindIs "slice" $value }}
{{- range $value }}
- {{ printf "%s=%s" (trimSuffix "s" $flag) (toString .) | replace "$" "$$" | quote }}
{{- end }}
{{- else if kindIs "bool" $value }}
{{- if $value }}
- {{ $flag }}
{{- else if eq $key "leaderElection" }}
- --no-leader-election
{{- end }}
{{- else if not (kindIs "invalid" $value) }}
- {{ printf "%s=%s" $flag (toString $value) | replace "$" "$$" | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* What the operator is told by its environment: the key, and whom to trust. */}}
{{- define "postroom.environment" -}}
{{- with include "postroom.keySecret" . }}
- name: POSTROOM_OWNERSHIP_KEY
  valueFrom:
    secretKeyRef: {name: {{ . | quote }}, key: key, optional: true}
# Earlier keys, separated by commas, whose tokens are still accepted.
- name: POSTROOM_EARLIER_OWNERSHIP_KEYS
  valueFrom:
    secretKeyRef: {name: {{ . | quote }}, key: earlier, optional: true}
{{- end }}
{{- include "postroom.trust" . }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "postroom.trust" -}}
{{- if .Values.caBundle.name }}
# Besides the public authorities, which are in a directory.
- name: SSL_CERT_FILE
  value: {{ printf "/etc/postroom/ca/%s" .Values.caBundle.key | quote }}
{{- end }}
{{- end }}

{{/* The port of /healthz; empty: it is off. */}}
{{- define "postroom.healthPort" -}}
{{- $address := .Values.settings.healthAddress | default "0.0.0.0:8080" }}
{{- if ne $address "off" }}
{{- include "postroom.portOf" $address }}
{{- end }}
{{- end }}

{{/* The port of /metrics where it has one of its own. */}}
{{- define "postroom.metricsPort" -}}
{{- with (include "postroom.settings" . | fromJson).metricsAddress }}
{{- if ne . "off" }}
{{- include "postroom.portOf" . }}
{{- end }}
{{- end }}
{{- end }}

{{/* The name of the port at which /metrics is served. */}}
{{- define "postroom.scrapedPort" -}}
{{- if include "postroom.metricsPort" . }}metrics
{{- else if include "postroom.healthPort" . }}http
{{- else }}
{{- fail "nothing can be scraped: settings.healthAddress is off; set settings.metricsAddress" }}
{{- end }}
{{- end }}

{{/* The Secret of the TLS certificate of /metrics, where the chart mounts it. */}}
{{- define "postroom.metricsSecret" -}}
{{- if and .Values.settings.metricsAuth (not .Values.settings.metricsTlsDirectory) }}
{{- default (printf "%s-metrics-tls" (include "postroom.fullname" .)) .Values.metrics.tlsSecret }}
{{- end }}
{{- end }}

{{/* Ports that are dialled, as JSON: of DNS, and of what speaks HTTPS. */}}
{{- define "postroom.dialled" -}}
{{- $settings := .Values.settings }}
{{- $dns := list 53 }}
{{- with $settings.dnsAuthoritativePort }}
{{- $dns = append $dns (int .) }}
{{- end }}
{{- /* Numbers from YAML are floats: what is the same must be of the same type. */}}
{{- $https := list 443 }}
{{- range .Values.networkPolicy.apiServerPorts }}
{{- $https = append $https (int .) }}
{{- end }}
{{- range $settings.dnsResolvers }}
{{- if hasPrefix "https://" . }}
{{- $https = append $https (regexFind ":[0-9]+$" (urlParse .).host | trimPrefix ":" | default "443" | int) }}
{{- else }}
{{- $dns = append $dns (include "postroom.portOf" . | int) }}
{{- end }}
{{- end }}
{{- dict "dns" (uniq $dns) "https" (uniq $https) | toJson }}
{{- end }}

{{/* Who may reach the ports of a Pod, as rules of a NetworkPolicy. */}}
{{- define "postroom.ingress" -}}
# Prometheus, and kubelets where probes are not exempt.
{{- range $name, $port := dict "http" (include "postroom.healthPort" .) "metrics" (include "postroom.metricsPort" .) }}
{{- if $port }}
- ports:
    - {protocol: TCP, port: {{ $name }}}
  {{- with $.Values.networkPolicy.from }}
  from:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}
