{{/* What the names of all objects begin with: a DNS label of at most 26 characters. With what is put behind it, it has at most
57, so that what Kubernetes makes of that still fits. A name that has to be cut ends with a hash of the whole, or two releases
would have the same. */}}
{{- define "betting.name" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride }}
{{- else if gt (len .Release.Name) 26 -}}
{{ .Release.Name | trunc 19 | trimSuffix "-" }}-{{ .Release.Name | sha256sum | trunc 6 }}
{{- else -}}
{{ .Release.Name }}
{{- end -}}
{{- end -}}

{{/* What the chart, and what k8s/observability puts beside it, call their own parts, as JSON: no version may be called so. */}}
{{- define "betting.reserved" -}}
{{- list "books" "dashboard-betting" "dashboard-restate" "dashboard-versions" "door" "edge" "grafana" "prepare" "prometheus" "register" "rehearsals" "release" "release-history" "restate" "restate-admin" "restate-nodes" "restate-provision" "restate-trial" "rules" "sandbox" "signing-key" "test" "token-key" "versions" "webhook-secret" | toJson -}}
{{- end -}}

{{/* Names that could not be those of objects. The schema would only say which pattern they do not match. */}}
{{- define "betting.checkNames" -}}
{{- if not (regexMatch "^[a-z][a-z0-9-]*$" (include "betting.name" .)) -}}
{{- fail (printf "the release's name %q begins with a digit or has a dot, and Services are named after it: choose another, or set fullnameOverride" .Release.Name) -}}
{{- end -}}
{{- $reserved := include "betting.reserved" . | fromJsonArray -}}
{{- range $key := keys (include "betting.versions" . | fromJson) | sortAlpha -}}
{{- if not (regexMatch "^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$" $key) -}}
{{- fail (printf "versions.%s: a version's key is part of the names of Kubernetes objects: at most 20 of a-z, 0-9 and -, with no - at either end, such as v2" $key) -}}
{{- end -}}
{{- if has $key $reserved -}}
{{- fail (printf "versions.%s: a part of the chart has this name, so no version can; choose another key, such as v2" $key) -}}
{{- end -}}
{{- if hasSuffix "-rehearsal" $key -}}
{{- fail (printf "versions.%s: what a version rehearses on is called so, so no version can; choose another key, such as v2" $key) -}}
{{- end -}}
{{- end -}}
{{- range $key, $version := .Values.versions -}}
{{- if eq (dig "image" "tag" "" ($version | default dict)) "latest" -}}
{{- fail (printf "versions.%s.image.tag: latest is another image tomorrow, and a version is one image for ever; name a tag that is never moved, or a digest" $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What a release that runs cannot change, as JSON, for the prepare hook: app/release/foundation.py. `usualName` is what the objects of
this release are called unless fullnameOverride says otherwise; charts before that value had no hash in it. */}}
{{- define "betting.foundation" -}}
{{- $name := include "betting.name" . -}}
{{- $usual := ternary $name (.Release.Name | trunc 26 | trimSuffix "-") (ne .Values.fullnameOverride "") -}}
{{- $env := .Values.restate.env -}}
{{- $values := dict
  "fullnameOverride" $name
  "restate.storage.size" (include "betting.text" .Values.restate.storage.size)
  "restate.storage.className" .Values.restate.storage.className
  "restate.partitions" (include "betting.text" (get $env "RESTATE_DEFAULT_NUM_PARTITIONS" | default .Values.restate.partitions))
  "restate.replicas" (.Values.restate.replicas | toString)
  "restate.signingKeySecret" (include "betting.signingKey" .)
  "RESTATE_CLUSTER_NAME" (get $env "RESTATE_CLUSTER_NAME" | default $name)
-}}
{{- if .Values.sandbox.enabled -}}
{{- $_ := set $values "sandbox.storage.size" (include "betting.text" .Values.sandbox.storage.size) -}}
{{- $_ := set $values "sandbox.storage.className" .Values.sandbox.storage.className -}}
{{- end -}}
{{- dict "release" .Release.Name "usualName" $usual "values" $values | toJson -}}
{{- end -}}
