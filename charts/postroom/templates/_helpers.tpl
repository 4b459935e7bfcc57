{{- define "postroom.name" -}}
{{- default .Chart.Name .Values.nameOverride }}
{{- end }}

{{/* The name of all objects: "postroom" for a release of that name, as the manifests have it. */}}
{{- define "postroom.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride }}
{{- else }}
{{- $name := include "postroom.name" . }}
{{- $made := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- $made | trunc 52 | trimAll "-." }}
{{- end }}
{{- end }}

{{/* One label: what the manifests select by, so that the chart can take their Deployment over, and not
the same for two releases of a namespace. */}}
{{- define "postroom.selector" -}}
app.kubernetes.io/name: {{ include "postroom.fullname" . | quote }}
{{- end }}

{{- define "postroom.partOf" -}}
app.kubernetes.io/part-of: postroom
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* The labels of an object; takes the root, or {root, more} with those of this object alone. */}}
{{- define "postroom.labels" -}}
{{- $root := .root | default . }}
{{- include "postroom.partOf" $root }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with merge dict (.more | default dict) ($root.Values.labels | default dict) }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "postroom.serviceAccount" -}}
{{- default (.Values.serviceAccount.create | ternary (include "postroom.fullname" .) "default") .Values.serviceAccount.name }}
{{- end }}

{{- define "postroom.subjects" -}}
- kind: ServiceAccount
  name: {{ include "postroom.serviceAccount" . | quote }}
  namespace: {{ .Release.Namespace | quote }}
{{- end }}

{{- define "postroom.deliverName" -}}
{{- include "postroom.fullname" . }}-deliver
{{- end }}

{{- define "postroom.deliverSelector" -}}
app.kubernetes.io/name: {{ include "postroom.deliverName" . | quote }}
{{- end }}

{{- define "postroom.deliverAccount" -}}
{{- with .Values.deliver.serviceAccount }}
{{- default (.create | ternary (include "postroom.deliverName" $) "default") .name }}
{{- end }}
{{- end }}

{{- define "postroom.deliverSubjects" -}}
- kind: ServiceAccount
  name: {{ include "postroom.deliverAccount" . | quote }}
  namespace: {{ .Release.Namespace | quote }}
{{- end }}

{{- define "postroom.image" -}}
{{- with .Values.image }}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Binds the ClusterRole `name` to the operator: in all namespaces, or in those that are served.
Takes {root, name}. */}}
{{- define "postroom.bound" -}}
{{- $root := .root }}
{{- $namespaces := $root.Values.settings.namespaces | default list | uniq }}
{{- range $namespace := $namespaces | default (list "") }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ empty $namespace | ternary "ClusterRoleBinding" "RoleBinding" }}
metadata:
  name: {{ $.name | quote }}
  {{- with $namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  labels:
    {{- include "postroom.labels" $root | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ $.name | quote }}}
subjects:
  {{- include "postroom.subjects" $root | nindent 2 }}
{{- end }}
{{- end }}

{{/* A file of the repository's manifests with the labels of this release. Takes {root, file}. */}}
{{- define "postroom.manifest" -}}
{{- $text := .root.Files.Get .file | required (printf "the chart lacks %s" .file) }}
{{- $labels := include "postroom.labels" .root | nindent 4 }}
{{- $text = regexReplaceAllLiteral "(?m)^  labels: \\{app.kubernetes.io/part-of: postroom\\}$" $text "  labels:\n    app.kubernetes.io/part-of: postroom" }}
{{- regexReplaceAllLiteral "(?m)\n^    app.kubernetes.io/part-of: postroom$" $text $labels }}
{{- end }}

{{/* The admission policy `feature`, under the name of this release. Takes {root, feature}. */}}
{{- define "postroom.policy" -}}
{{- if .root.Values.policies.create }}
{{- $text := include "postroom.manifest" (dict "root" .root "file" (printf "files/policies/%s.yaml" .feature)) }}
---
{{ regexReplaceAll "(?m)^  (name|policyName): postroom-" $text (printf "  ${1}: %s-" (include "postroom.fullname" .root)) }}
{{- end }}
{{- end }}

{{/* The port of address:port. */}}
{{- define "postroom.portOf" -}}
{{- regexFind "[0-9]+$" (toString .) }}
{{- end }}
