{{/* How many seconds a duration such as 1h30m has. */}}
{{- define "postroom.seconds" -}}
{{- $seconds := 0 }}
{{- range $unit, $length := dict "h" 3600 "m" 60 "s" 1 }}
{{- $seconds = regexFind (printf "[1-9][0-9]*%s" $unit) $ | trimSuffix $unit | int64 | mul $length | add $seconds }}
{{- end }}
{{- $seconds }}
{{- end }}

{{/* How many octets a quantity of Kubernetes is, such as 1.5Gi or 4e8. */}}
{{- define "postroom.octets" -}}
{{- $text := toString . | trimPrefix "+" }}
{{- $number := regexFind "^[0-9.]+([eE][-+]?[0-9]+)?" $text }}
{{- $units := dict "" 1 "n" 1e-9 "u" 1e-6 "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 }}
{{- $octets := get $units (trimPrefix $number $text | trimSuffix "i") | float64 }}
{{- range $unit, $power := dict "Ki" 1 "Mi" 2 "Gi" 3 "Ti" 4 "Pi" 5 "Ei" 6 }}
{{- if hasSuffix $unit $text }}
{{- $octets = 1 }}
{{- range until $power }}
{{- $octets = mulf $octets 1024 }}
{{- end }}
{{- end }}
{{- end }}
{{- mulf (float64 $number) $octets }}
{{- end }}

{{/* "yes" where an address of a network has bits beyond the network's length, such as 10.0.0.1/8. */}}
{{- define "postroom.hostBits" -}}
{{- $powers := list 1 2 4 8 16 32 64 128 256 512 1024 2048 4096 8192 16384 32768 65536 }}
{{- $address := splitList "/" . | first }}
{{- $width := contains ":" . | ternary 16 8 }}
{{- $halves := list }}
{{- range $half := splitList "::" $address }}
{{- $units := list }}
{{- range $group := splitList (eq $width 16 | ternary ":" ".") $half | compact }}
{{- if and (eq $width 16) (contains "." $group) }}
{{- range $pair := splitList "." $group | chunk 2 }}
{{- $units = append $units (add (mul 256 (first $pair | int64)) (last $pair | int64)) }}
{{- end }}
{{- else }}
{{- $units = append $units (eq $width 16 | ternary (printf "0x%s" $group) $group | int64) }}
{{- end }}
{{- end }}
{{- $halves = append $halves $units }}
{{- end }}
{{- $units := first $halves }}
{{- if gt (len $halves) 1 }}
{{- range until (sub (sub 8 (len $units)) (len (last $halves)) | int) }}
{{- $units = append $units 0 }}
{{- end }}
{{- $units = concat $units (last $halves) }}
{{- end }}
{{- $length := contains "/" . | ternary (splitList "/" . | last) (mul $width (len $units) | toString) | int64 }}
{{- range $index, $unit := $units }}
{{- $free := min $width (max 0 (sub (mul $width (add1 $index)) $length)) }}
{{- if mod $unit (index $powers (int $free)) }}yes{{ end }}
{{- end }}
{{- end }}

{{/* Values that contradict each other, each with a sentence. */}}
{{- define "postroom.validate" -}}
{{- $settings := .Values.settings }}
{{- if and (kindIs "bool" $settings.leaderElection) (not $settings.leaderElection) (gt (int .Values.replicas) 1) }}
{{- fail "settings.leaderElection is false and replicas is more than 1: two operators would work on the same objects; remove one of the two" }}
{{- end }}
{{- if and (kindIs "bool" $settings.leaderElection) (not $settings.leaderElection) (gt (int .Values.shards) 1) }}
{{- fail "settings.leaderElection is false and shards is more than 1: by their Leases shards know that nobody else does their work; remove one of the two" }}
{{- end }}
{{- if and (kindIs "bool" $settings.leaderElection) (not $settings.leaderElection) .Values.deliver.enabled (gt (int .Values.deliver.shards) 1) }}
{{- fail "settings.leaderElection is false and deliver.shards is more than 1: by their Leases shards know that nobody else does their work; remove one of the two" }}
{{- end }}
{{- if and (kindIs "bool" $settings.leaderElection) (not $settings.leaderElection) .Values.deliver.enabled (gt (int .Values.deliver.replicas) 1) }}
{{- fail "settings.leaderElection is false and deliver.replicas is more than 1: two workers would hand over the same mail; remove one of the two" }}
{{- end }}
{{- if and $settings.requireOwnershipToken (not $settings.ownershipKeyFiles) (not .Values.ownershipKey.create) (not .Values.ownershipKey.existingSecret) }}
{{- fail "settings.requireOwnershipToken needs an ownership key: set ownershipKey.create or ownershipKey.existingSecret" }}
{{- end }}
{{- if and .Values.metrics.podMonitor.enabled .Values.metrics.serviceMonitor.enabled }}
{{- fail "metrics.podMonitor and metrics.serviceMonitor would count everything twice: enable one of the two" }}
{{- end }}
{{- if and .Values.tenants.strict (not .Values.tenants.enabled) }}
{{- fail "tenants.strict needs tenants.enabled" }}
{{- end }}
{{- $least := dict "sweepInterval" "1s" "stuckAfter" "1s" "reviewSyncGap" "1h" }}
{{- range $name, $shortest := $least }}
{{- with get $settings $name }}
{{- if lt (include "postroom.seconds" . | int64) (include "postroom.seconds" $shortest | int64) }}
{{- fail (printf "settings.%s must be %s or more" $name $shortest) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $name, $value := $settings }}
{{- if and (kindIs "string" $value) (regexMatch "^([0-9]+h)?([0-9]+m)?([0-9]+s)?$" $value) }}
{{- if ge (include "postroom.seconds" $value | int64) 36000000 }}
{{- fail (printf "settings.%s must be less than 10000h" $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- with $settings.shutdownGrace | default "20s" }}
{{- if ge (include "postroom.seconds" . | int64) (int64 $.Values.terminationGracePeriodSeconds) }}
{{- fail (printf "settings.shutdownGrace is %s and terminationGracePeriodSeconds is %d: Kubernetes would kill what is still ending; make the latter more" . (int64 $.Values.terminationGracePeriodSeconds)) }}
{{- end }}
{{- end }}
{{- range $settings.allowCidrs }}
{{- if include "postroom.hostBits" . }}
{{- fail (printf "settings.allowCidrs: %s is no network, as it has bits beyond its length: write 10.0.0.0/8, not 10.0.0.1/8" .) }}
{{- end }}
{{- end }}
{{- $health := include "postroom.healthPort" . }}
{{- $scraped := include "postroom.metricsPort" . }}
{{- if and $settings.metricsTlsDirectory (not $scraped) }}
{{- fail "settings.metricsTlsDirectory needs settings.metricsAddress: the kubelet's probes speak no TLS" }}
{{- end }}
{{- if and $settings.ui (not $health) (not $scraped) }}
{{- fail "settings.ui needs settings.healthAddress or settings.metricsAddress" }}
{{- end }}
{{- if and $health (eq $health $scraped) }}
{{- fail "settings.healthAddress and settings.metricsAddress must have ports of their own" }}
{{- end }}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$" .Release.Namespace) }}
{{- fail (printf "%q is no name of a namespace" .Release.Namespace) }}
{{- end }}
{{- $name := include "postroom.fullname" . }}
{{- if and (or .Values.metrics.service.enabled .Values.metrics.serviceMonitor.enabled) (not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name)) }}
{{- fail (printf "a Service cannot be called %s-metrics: set fullnameOverride to a name that begins with a letter and has no dot" $name) }}
{{- end }}
{{- include "postroom.refuseMounts" (dict "root" . "of" .Values "at" "" "volumes" list "mounted" list) }}
{{- if .Values.deliver.enabled }}
{{- with ((.Values.deliver.resources).limits).memory }}
{{- $most := include "postroom.octets" . | float64 }}
{{- if and $most (ge (include "postroom.octets" $.Values.deliver.spool | float64) $most) }}
{{- fail (printf "deliver.spool is %s and deliver.resources.limits.memory %v: the spool is memory, and would have the worker killed; lower the one or raise the other" $.Values.deliver.spool .) }}
{{- end }}
{{- end }}
{{- include "postroom.refuseMounts" (dict "root" . "of" .Values.deliver "at" "deliver." "volumes" (list "spool") "mounted" (list "/spool")) }}
{{- end }}
{{- end }}

{{/* Refuses volumes and mounts that a Pod cannot have together. Takes {root, of, at, volumes, mounted}: the
values that have them, where these stand, and what the Pod has besides those that every Pod has. */}}
{{- define "postroom.refuseMounts" -}}
{{- $at := .at }}
{{- $volumes := .volumes }}
{{- range include "postroom.volumes" .root | fromYamlArray }}
{{- $volumes = append $volumes .name }}
{{- end }}
{{- range .of.extraVolumes }}
{{- if has .name $volumes }}
{{- fail (printf "%sextraVolumes: there is a volume %s already" $at .name) }}
{{- end }}
{{- $volumes = append $volumes .name }}
{{- end }}
{{- $mounted := .mounted }}
{{- range include "postroom.mounts" .root | fromYamlArray }}
{{- $mounted = append $mounted .mountPath }}
{{- end }}
{{- range .of.extraVolumeMounts }}
{{- if not (has .name $volumes) }}
{{- fail (printf "%sextraVolumeMounts: there is no volume %s in %sextraVolumes" $at .name $at) }}
{{- end }}
{{- if has .mountPath $mounted }}
{{- fail (printf "%sextraVolumeMounts: something is mounted at %s already" $at .mountPath) }}
{{- end }}
{{- $mounted = append $mounted .mountPath }}
{{- end }}
{{- end }}
