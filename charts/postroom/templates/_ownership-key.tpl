{{/* The Secret with the ownership key; empty: there is none. */}}
{{- define "postroom.keySecret" -}}
{{- with .Values.ownershipKey }}
{{- if $.Values.settings.ownershipKeyFiles }}
{{- else if .existingSecret }}
{{- .existingSecret }}
{{- else if .create }}
{{- printf "%s-ownership-key" (include "postroom.fullname" $) }}
{{- end }}
{{- end }}
{{- end }}

{{/* "yes" with a view of the cluster. Whoever installs a release may list the Secrets of its namespace:
Helm keeps releases there. `helm template` and what builds on it see nothing at all. */}}
{{- define "postroom.seesCluster" -}}
{{- if lookup "v1" "Secret" .Release.Namespace "" }}yes{{ end }}
{{- end }}

{{/* The SendingDomains that a lost key has tokens for, one a line: a token was handed out, or was and
cannot be told any more without the key; or, when a release is upgraded, whose key was there before,
the operator has not looked yet. */}}
{{- define "postroom.domainsOfKey" -}}
{{- if .Capabilities.APIVersions.Has "postroom.dev/v1alpha1/SendingDomain" }}
{{- range $namespace := .Values.settings.namespaces | default (list "") }}
{{- range $domain := (lookup "postroom.dev/v1alpha1" "SendingDomain" $namespace "").items }}
{{- $status := $domain.status | default dict }}
{{- $given := dig "spec" "ownership" "value" "" $domain }}
{{- $used := false }}
{{- range $record := $status.records }}
{{- if and (eq $record.purpose "Ownership") (hasPrefix "postroom-verification=" $record.value) }}
{{- $used = true }}
{{- end }}
{{- end }}
{{- $keyMissing := false }}
{{- range $condition := $status.conditions }}
{{- if and (eq $condition.type "OwnershipVerified") (eq $condition.reason "OwnershipKeyMissing") }}
{{- $keyMissing = true }}
{{- end }}
{{- end }}
{{- if and $keyMissing $status.verifiedAt }}
{{- $used = true }}
{{- else if and $.Release.IsUpgrade (not $given) (not $keyMissing) }}
{{- $used = true }}
{{- end }}
{{- if $used }}
{{ $domain.metadata.namespace }}/{{ $domain.metadata.name }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The Secrets that hold a key under the name that another release, or this one before it was renamed,
gives it, one a line. Takes {root, secret}. */}}
{{- define "postroom.otherKeys" -}}
{{- range (lookup "v1" "Secret" .root.Release.Namespace "").items }}
{{- if and (hasSuffix "-ownership-key" .metadata.name) (ne .metadata.name $.secret) (.data).key }}
{{ .metadata.name }}
{{- end }}
{{- end }}
{{- end }}

{{/* Refuses where the key is gone while domains use it. Takes {root, secret}. */}}
{{- define "postroom.refuseLostKey" -}}
{{- if not .root.Values.ownershipKey.replaceLost }}
{{- $domains := include "postroom.domainsOfKey" .root | trim | splitList "\n" | compact }}
{{- if $domains }}
{{- $shown := gt (len $domains) 3 | ternary (printf "%s and %d more" (join ", " (slice $domains 0 (min 3 (len $domains)))) (sub (len $domains) 3)) (join ", " $domains) }}
{{- $others := include "postroom.otherKeys" . | trim | splitList "\n" | compact | join " or " }}
{{- $renamed := empty $others | ternary "Restore" (printf "If it is that of Secret %s, because something was renamed, set ownershipKey.existingSecret to that name. Else restore" $others) }}
{{- fail (printf "the ownership key is lost: Secret %s/%s has no key, and the published tokens of %d SendingDomain(s) (%s) were made with it. %s the Secret from a backup, or set ownershipKey.replaceLost=true: then each of them must publish a new token" .root.Release.Namespace .secret (len $domains) $shown $renamed) }}
{{- end }}
{{- end }}
{{- end }}
