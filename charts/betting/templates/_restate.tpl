{{/* Restate's settings. */}}
{{- define "betting.restateEnv" -}}
{{- $name := printf "%s-restate" (include "betting.name" .) -}}
{{- $nodes := printf "%s-nodes" $name -}}
{{- $replicas := int .Values.restate.replicas -}}
- name: RESTATE_NODE_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- {name: RESTATE_CLUSTER_NAME, value: {{ include "betting.name" . | quote }}}
- {name: RESTATE_ADVERTISED_ADDRESS, value: "http://$(RESTATE_NODE_NAME).{{ $nodes }}.{{ $.Release.Namespace }}.svc:5122/"}
- {name: RESTATE_BASE_DIR, value: /restate-data}
- {name: RESTATE_LISTEN_MODE, value: tcp}
- {name: RESTATE_LOG_FORMAT, value: json}
- {name: RESTATE_DISABLE_TELEMETRY, value: "true"}
- {name: RESTATE_AUTO_PROVISION, value: {{ eq $replicas 1 | quote }}}
- {name: RESTATE_DEFAULT_NUM_PARTITIONS, value: {{ $.Values.restate.partitions | quote }}}
- {name: RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE, value: {{ $.Values.restate.rocksdbMemory | quote }}}
- {name: RESTATE_SHUTDOWN_TIMEOUT, value: "{{ sub $.Values.restate.terminationGracePeriodSeconds 15 }}s"}
{{- if not (hasKey $.Values.restate.env "RESTATE_INGRESS__REQUEST_SIZE_LIMIT") }}
- {name: RESTATE_INGRESS__REQUEST_SIZE_LIMIT, value: "65536"} # a large request costs a pod its memory, and is repeated
{{- end }}
- {name: RESTATE_WORKER__INVOKER__REQUEST_IDENTITY_PRIVATE_KEY_PEM_FILE, value: /signing-key/private.pem}
{{- if gt $replicas 1 }}
- {name: RESTATE_METADATA_CLIENT__TYPE, value: replicated}
- name: RESTATE_METADATA_CLIENT__ADDRESSES
  value: '[{{ range $i := until $replicas }}{{ if $i }}, {{ end }}"http://{{ $name }}-{{ $i }}.{{ $nodes }}.{{ $.Release.Namespace }}.svc:5122/"{{ end }}]'
- {name: RESTATE_DEFAULT_REPLICATION, value: "2"}
{{- if not (hasKey $.Values.restate.env "RESTATE_ADMIN__QUERY_ENGINE__DATAFUSION_OPTIONS") }}
# Restate 1.7 cannot send the filters that it makes of one side of a join to another node: a join of texts, as the bookkeeper's, fails.
- {name: RESTATE_ADMIN__QUERY_ENGINE__DATAFUSION_OPTIONS, value: '{"datafusion.optimizer.enable_dynamic_filter_pushdown"="false"}'}
{{- end }}
{{- end }}
{{- with $.Values.restate.snapshots }}
{{- if .destination }}
- {name: RESTATE_WORKER__SNAPSHOTS__DESTINATION, value: {{ .destination | quote }}}
- {name: RESTATE_WORKER__SNAPSHOTS__SNAPSHOT_INTERVAL_NUM_RECORDS, value: {{ .everyRecords | int | quote }}}
{{- $ours := dict "NUM_RETAINED" (.retained | int | toString) }}
{{- with .endpoint }}
{{- $_ := set $ours "AWS_ENDPOINT_URL" . }}
{{- $_ := set $ours "AWS_ALLOW_HTTP" (hasPrefix "http://" . | toString) }}
{{- end }}
{{- with .region }}
{{- $_ := set $ours "AWS_REGION" . }}
{{- end }}
{{- range $setting, $value := $ours }}
{{- $setting = printf "RESTATE_WORKER__SNAPSHOTS__%s" $setting }}
{{- if not (hasKey $.Values.restate.env $setting) }}
- {name: {{ $setting }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}
{{- if .credentialsSecret }}
{{- $secret := .credentialsSecret }}
{{- range list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ . }}
  valueFrom:
    secretKeyRef: {name: {{ $secret | quote }}, key: {{ . }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- with $.Values.otel.endpoint }}
- {name: RESTATE_TRACING_ENDPOINT, value: "otlp+{{ . | trimSuffix "/" }}/v1/traces"} # OTLP over HTTP, as the service's
{{- end }}
{{- range $setting, $value := $.Values.restate.env }}
- {name: {{ $setting }}, value: {{ include "betting.text" $value | quote }}}
{{- end }}
{{- end -}}
