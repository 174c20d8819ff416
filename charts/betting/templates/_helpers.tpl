{{/* What never changes and may stand in selectors. Use: include "betting.selector" (list $ "component") */}}
{{- define "betting.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: betting
app.kubernetes.io/instance: {{ include "betting.name" $root | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "betting.labels" -}}
{{ include "betting.selector" . }}
app.kubernetes.io/managed-by: Helm
app.kubernetes.io/part-of: betting
{{- end -}}

{{/* The versions, as JSON; null takes one out; without any, the current one, whose image has its name as tag. */}}
{{- define "betting.versions" -}}
{{- $versions := dict -}}
{{- range $key, $version := .Values.versions -}}
{{- if kindIs "map" $version -}}
{{- $_ := set $versions $key $version -}}
{{- end -}}
{{- end -}}
{{- $versions | default (dict .Values.current dict) | toJson -}}
{{- end -}}

{{/* The image of a version. Use: include "betting.image" (list $ "v1") */}}
{{- define "betting.image" -}}
{{- $root := index . 0 -}}
{{- $key := index . 1 -}}
{{- $image := (index (include "betting.versions" $root | fromJson) $key | default dict).image | default dict -}}
{{- $repository := $image.repository | default $root.Values.image.repository -}}
{{- if $image.digest -}}
{{ $repository }}@{{ $image.digest }}
{{- else -}}
{{ $repository }}:{{ $image.tag | default $key }}
{{- end -}}
{{- end -}}

{{/* The images of all versions, as JSON: what the release loop compares with what runs. */}}
{{- define "betting.images" -}}
{{- $images := dict -}}
{{- range $key := keys (include "betting.versions" . | fromJson) | sortAlpha -}}
{{- $_ := set $images $key (include "betting.image" (list $ $key)) -}}
{{- end -}}
{{- $images | toJson -}}
{{- end -}}

{{/* A setting as text. Numbers of a values file are floats, which would else be written 1e+07. */}}
{{- define "betting.text" -}}
{{- if and (kindIs "float64" .) (eq (float64 (int64 .)) .) -}}
{{- int64 . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{/* The settings of a version, as JSON: ours, then those of all versions, then its own. Use: list $ "v1" */}}
{{- define "betting.settings" -}}
{{- $root := index . 0 -}}
{{- $version := index (include "betting.versions" $root | fromJson) (index . 1) | default dict -}}
{{- $settings := dict "BETTING_LOG_FORMAT" "json" "BETTING_REQUIRE_IDENTITY" (ternary "false" "true" $root.Values.sandbox.enabled) -}}
{{- with $root.Values.otel.endpoint -}}
{{- $_ := set $settings "BETTING_OTEL_ENDPOINT" (trimSuffix "/" .) -}}
{{- end -}}
{{- if $root.Values.sandbox.enabled -}}
{{- $sandbox := printf "%s-sandbox" (include "betting.name" $root) -}}
{{- $_ := set $settings "BETTING_PROVIDER_URL" (printf "http://%s:9090" $sandbox) -}}
{{- $_ := set $settings "BETTING_SMTP_HOST" $sandbox -}}
{{- $_ := set $settings "BETTING_SMTP_PORT" "1025" -}}
{{- end -}}
{{- $given := mustMergeOverwrite (deepCopy $root.Values.service.settings) (deepCopy ($version.settings | default dict)) -}}
{{- range $setting, $value := $given -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $_ := set $settings $setting (include "betting.text" $value) -}}
{{- end -}}
{{- end -}}
{{- $settings | toJson -}}
{{- end -}}

{{/* The Secret with the key that Restate signs with; ours is made by the prepare hook. */}}
{{- define "betting.signingKey" -}}
{{- .Values.restate.signingKeySecret | default (include "betting.madeSigningKey" .) -}}
{{- end -}}

{{- define "betting.madeSigningKey" -}}
{{ include "betting.name" . }}-signing-key
{{- end -}}

{{/* The Secret with what the sandbox signs its webhooks with, made by the prepare hook. */}}
{{- define "betting.webhookSecret" -}}
{{ include "betting.name" . }}-webhook-secret
{{- end -}}

{{/* The Secret with the key by which the sandbox signs tokens, where no issuer does, and what the door checks them with. */}}
{{- define "betting.tokenKey" -}}
{{- if and .Values.edge.enabled .Values.sandbox.enabled (not .Values.edge.issuer) -}}
{{ include "betting.name" . }}-token-key
{{- end -}}
{{- end -}}

{{/* Who issues the tokens; the sandbox's are those of app/sandbox/identity.py. */}}
{{- define "betting.issuer" -}}
{{- .Values.edge.issuer | default "https://identity.example" -}}
{{- end -}}

{{/* Where users come in: the door, or without one Restate's ingress. */}}
{{- define "betting.entrance" -}}
{{- $name := include "betting.name" . -}}
{{- if not .Values.edge.enabled -}}
http://{{ $name }}-restate:8080
{{- else if .Values.edge.tls.secret -}}
https://{{ $name }}-edge
{{- else -}}
http://{{ $name }}-edge:8080
{{- end -}}
{{- end -}}

{{/* Where secret settings come from: what the sandbox shares with the service, then the operator's Secrets, which win. */}}
{{- define "betting.secretSettings" -}}
{{- $names := .Values.service.secrets -}}
{{- if .Values.sandbox.enabled -}}
{{- $names = prepend $names (include "betting.webhookSecret" .) -}}
{{- end -}}
{{- range $names }}
- secretRef: {name: {{ . | quote }}}
{{- end }}
{{- end -}}

{{/* Pod Security "restricted", and a root that is never written. */}}
{{- define "betting.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "betting.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "betting.pullSecrets" -}}
{{- range .Values.image.pullSecrets }}
- name: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* Where the release commands find everything. */}}
{{- define "betting.releaseEnv" -}}
- {name: BETTING_RELEASE_NAMESPACE, value: {{ .Release.Namespace | quote }}}
- {name: BETTING_RELEASE_NAME, value: {{ include "betting.name" . | quote }}}
- {name: BETTING_RELEASE_ADMIN, value: "http://{{ include "betting.name" . }}-restate-admin:9070"}
- {name: BETTING_RELEASE_IMAGE, value: {{ include "betting.image" (list . .Values.current) | quote }}}
{{- end -}}

{{/* A pod that runs a release command. Use: include "betting.releasePod" (list $ account component restartPolicy args) */}}
{{- define "betting.releasePod" -}}
{{- $root := index . 0 -}}
serviceAccountName: {{ include "betting.name" $root }}-{{ index . 1 }}
restartPolicy: {{ index . 2 }}
securityContext: {{ include "betting.podSecurity" $root | nindent 2 }}
{{- with include "betting.pullSecrets" $root }}
imagePullSecrets: {{ . | nindent 2 }}
{{- end }}
{{- include "betting.placement" (list $root dict) }}
containers:
- name: release
  image: {{ include "betting.image" (list $root $root.Values.current) | quote }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  command: {{ concat (list "betting" "release") (index . 3) | toJson }}
  env: {{ include "betting.releaseEnv" $root | nindent 2 }}
  resources: {{ $root.Values.release.resources | toJson }}
  securityContext: {{ include "betting.containerSecurity" $root | nindent 4 }}
  terminationMessagePolicy: FallbackToLogsOnError
{{- end -}}

{{/* For each version, the findings of its gates that the values accept, as JSON. */}}
{{- define "betting.accepts" -}}
{{- $accepts := dict -}}
{{- range $key, $version := include "betting.versions" . | fromJson -}}
{{- with ($version | default dict).accepts -}}
{{- $_ := set $accepts $key . -}}
{{- end -}}
{{- end -}}
{{- $accepts | toJson -}}
{{- end -}}

{{/* A version whose key has left the values may have work: what prunes leaves it to the release loop. */}}
{{- define "betting.unpruned" -}}
argocd.argoproj.io/sync-options: Prune=false
kustomize.toolkit.fluxcd.io/prune: disabled
{{- end -}}

{{/* The name of a Job, which cannot change: so it tells its content. A second one can then be applied beside the first, also
without Helm, which deletes what a hook has left. Use: include "betting.job" (list "name" "content") */}}
{{- define "betting.job" -}}
{{ index . 0 }}-{{ index . 1 | sha256sum | trunc 8 }}
{{- end -}}

{{/* What the schema cannot say, or not in words. */}}
{{- define "betting.check" -}}
{{- include "betting.checkNames" . -}}
{{- range $part, $size := dict "restate" .Values.restate.storage.size "sandbox" .Values.sandbox.storage.size -}}
{{- if lt (include "betting.bytes" $size | int64) 1048576 -}}
{{- fail (printf "%s.storage.size: %s is %s bytes; a volume has at least 1Mi (m is a thousandth, M a million)" $part (include "betting.text" $size) (include "betting.bytes" $size)) -}}
{{- end -}}
{{- end -}}
{{- if not (hasKey (include "betting.versions" . | fromJson) .Values.current) -}}
{{- fail (printf "current: %q is no key of versions (%s)" .Values.current (keys (include "betting.versions" . | fromJson) | sortAlpha | join ", ")) -}}
{{- end -}}
{{- if and (gt (int .Values.restate.replicas) 1) (not .Values.restate.snapshots.destination) -}}
{{- fail "restate.replicas: 3 needs restate.snapshots.destination, or a node that lost its volume could never be replaced" -}}
{{- end -}}
{{- with .Values.restate -}}
{{- $store := .snapshots -}}
{{- $s3 := hasPrefix "s3://" $store.destination -}}
{{- range $value := list "endpoint" "region" "credentialsSecret" -}}
{{- if and (get $store $value) (not $s3) -}}
{{- fail (printf "restate.snapshots.%s is about an s3:// store, and restate.snapshots.destination is %q" $value $store.destination) -}}
{{- end -}}
{{- end -}}
{{- if and $store.endpoint (not (or $store.region .env.AWS_REGION .env.RESTATE_WORKER__SNAPSHOTS__AWS_REGION)) -}}
{{- fail "restate.snapshots.endpoint needs restate.snapshots.region, which requests are signed for; a store without regions takes us-east-1" -}}
{{- end -}}
{{- range list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" -}}
{{- if and $store.credentialsSecret (hasKey $.Values.restate.env .) -}}
{{- fail (printf "restate.env.%s and restate.snapshots.credentialsSecret say the same: take it out of restate.env" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $settings := list .Values.service.settings -}}
{{- range $key, $version := .Values.versions -}}
{{- $settings = append $settings (($version | default dict).settings | default dict) -}}
{{- end -}}
{{- range list "BETTING_WEBHOOK_SECRET" "BETTING_PROVIDER_KEY" "BETTING_SMTP_PASSWORD" -}}
{{- $secret := . -}}
{{- range $settings -}}
{{- if hasKey . $secret -}}
{{- fail (printf "%s is a secret and stands in the values: put it into a Secret, and the Secret's name into service.secrets" $secret) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.edge -}}
{{- if and .enabled .issuer (eq (empty .jwksUri) (empty .jwks)) -}}
{{- fail "edge.issuer needs its public keys: edge.jwksUri or edge.jwks, and one of them only" -}}
{{- end -}}
{{- if and (not .issuer) (or .jwksUri .jwks (ne .audience "betting") (ne .rolesClaim "roles")) -}}
{{- fail "edge.jwksUri, edge.jwks, edge.audience and edge.rolesClaim say how tokens of edge.issuer look, and there is none" -}}
{{- end -}}
{{- range (.jwks | default "{}" | fromJson).keys -}}
{{- if or .d .k -}}
{{- fail "edge.jwks has a private or shared key: it takes the public ones only" -}}
{{- end -}}
{{- end -}}
{{- if not (or $.Values.sandbox.enabled .enabled $.Values.networkPolicy.ingressFrom) -}}
{{- fail "sandbox.enabled: false needs a door: edge.enabled with edge.issuer, or networkPolicy.ingressFrom, which names the gateway that stands in" -}}
{{- end -}}
{{- if not (or $.Values.sandbox.enabled .issuer (not .enabled)) -}}
{{- fail "sandbox.enabled: false needs edge.issuer, edge.audience, and edge.jwksUri or edge.jwks: who issues the tokens of users; or edge.enabled: false and networkPolicy.ingressFrom, which names the gateway that stands in" -}}
{{- end -}}
{{- end -}}
{{- if not .Values.sandbox.enabled -}}
{{- range list "BETTING_PROVIDER_URL" "BETTING_SMTP_HOST" -}}
{{- if not (get $.Values.service.settings .) -}}
{{- fail (printf "sandbox.enabled: false needs service.settings.%s" .) -}}
{{- end -}}
{{- end -}}
{{- if not .Values.service.secrets -}}
{{- fail "sandbox.enabled: false needs service.secrets, one of which has BETTING_WEBHOOK_SECRET" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The labels of what the Prometheus operator reads: ours, and those by which it chooses. Use: list . "component" */}}
{{- define "betting.monitoringLabels" -}}
{{ include "betting.labels" . }}
{{- with (index . 0).Values.monitoring.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A quantity of storage or memory, such as 1.5Gi, in whole bytes, rounded up as Kubernetes does. */}}
{{- define "betting.bytes" -}}
{{- $units := dict "" "1" "m" "0.001" "k" "1e3" "Ki" "1024" "M" "1e6" "Mi" "1048576" "G" "1e9" "Gi" "1073741824" "T" "1e12" "Ti" "1099511627776" -}}
{{- $text := include "betting.text" . -}}
{{- mulf (regexFind "^[0-9.]+" $text) (index $units (regexFind "[A-Za-z]*$" $text)) | ceil | printf "%.0f" -}}
{{- end -}}

{{/* The rule file of all alerts, about this release alone. What watches a part that may be left out says so: "# only with: edge". */}}
{{- define "betting.rules" -}}
groups:
- name: betting
  rules:
  {{- range $path, $_ := .Files.Glob "files/alerts/*.yaml" }}
  {{- $text := $.Files.Get $path }}
  {{- $part := regexFind "(?m)^# only with: [a-z]+$" $text | trimPrefix "# only with: " }}
  {{- if or (not $part) (index $.Values $part).enabled }}
  {{- $alert := $text | replace "$namespace" $.Release.Namespace | replace "$runbooks" $.Values.monitoring.runbooks }}
  {{- $alert = $alert | replace "$restate_snapshot_records" (ternary "Inf" ($.Values.restate.snapshots.everyRecords | int | toString) (empty $.Values.restate.snapshots.destination)) }}
  {{- $alert = $alert | replace "$restate_nodes" ($.Values.restate.replicas | int | toString) }}
  - {{ $alert | replace "$restate_storage_bytes" (include "betting.bytes" $.Values.restate.storage.size) | fromYaml | toYaml | nindent 4 | trim }}
  {{- end }}
  {{- end }}
{{- end -}}
