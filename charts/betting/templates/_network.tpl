{{/* The head of a policy about one component, both ways. Use: include "betting.policy" (list $ "component" "name") */}}
{{- define "betting.policy" -}}
{{- $root := index . 0 -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "betting.name" $root }}-{{ index . 2 }}
  labels: {{ include "betting.labels" (list $root (index . 1)) | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{ include "betting.selector" (list $root (index . 1)) | nindent 6 }}
  policyTypes: [Ingress, Egress]
{{- end -}}

{{/* Pods of a component, as a peer. Use: include "betting.peer" (list $ "component") */}}
{{- define "betting.peer" -}}
- podSelector:
    matchLabels: {{ include "betting.selector" . | nindent 6 }}
{{- end -}}

{{/* Names can be resolved: an egress rule. */}}
{{- define "betting.toDns" -}}
- ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
  {{- with .Values.networkPolicy.dns }}
  to: {{ toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Pods of a component at a port: an egress rule. Use: include "betting.toPods" (list $ "component" 8080) */}}
{{- define "betting.toPods" -}}
- ports: {{ range rest (rest .) }}
  - port: {{ . }}
  {{- end }}
  to: {{ include "betting.peer" (list (index . 0) (index . 1)) | nindent 2 }}
{{- end -}}

{{/* What is not ours, at some ports: an egress rule, or none without ports. Use: include "betting.toOutside" (list $ ports) */}}
{{- define "betting.toOutside" -}}
{{- $root := index . 0 -}}
{{- with index . 1 | uniq -}}
- ports: {{ range . }}
  - port: {{ . }}
  {{- end }}
  {{- with $root.Values.networkPolicy.outside }}
  to: {{ toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* The port of a URL. */}}
{{- define "betting.port" -}}
{{- $url := urlParse . -}}
{{- regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (ternary "443" "80" (eq $url.scheme "https")) -}}
{{- end -}}

{{/* The ports at which versions with these settings have what is outside, in JSON. Use: list $ settings */}}
{{- define "betting.outsidePorts" -}}
{{- $root := index . 0 -}}
{{- $settings := index . 1 -}}
{{- $sandbox := printf "%s-sandbox" (include "betting.name" $root) -}}
{{- $ports := list -}}
{{- if ne (get $settings "BETTING_PROVIDER_URL" | default "") (printf "http://%s:9090" $sandbox) -}}
{{- $ports = append $ports (include "betting.port" ($settings.BETTING_PROVIDER_URL | default "") | int) -}}
{{- end -}}
{{- if ne (get $settings "BETTING_SMTP_HOST" | default "") $sandbox -}}
{{- $ports = append $ports (get $settings "BETTING_SMTP_PORT" | default "1025" | int) -}}
{{- end -}}
{{- with get $settings "BETTING_OTEL_ENDPOINT" -}}
{{- $ports = append $ports (include "betting.port" . | int) -}}
{{- end -}}
{{- $ports | toJson -}}
{{- end -}}
