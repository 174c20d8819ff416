{{/* How Restate's parts share the memory limit of its pod, as JSON: each by its setting. By default they would take 5 GiB together, and no
part but RocksDB gets more than it would take then. RocksDB may be told by a value of its own. What is left, for the program and what it sends and receives, has to be enough. Without a limit
there is nothing to share, and what `restate.env` says is not counted. */}}
{{- define "betting.restateMemory" -}}
{{- $rest := 384 -}}
{{- $rocksdb := "RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE" -}}
{{- $parts := dict
  $rocksdb (dict "part" 4)
  "RESTATE_WORKER__INVOKER__MEMORY_LIMIT" (dict "part" 8 "most" 1536)
  "RESTATE_ADMIN__QUERY_ENGINE__MEMORY_SIZE" (dict "part" 8 "most" 1024)
  "RESTATE_BIFROST__RECORD_CACHE_MEMORY_SIZE" (dict "part" 16 "most" 250)
  "RESTATE_WORKER__DATA_SERVICE_MEMORY_LIMIT" (dict "part" 16 "most" 256)
-}}
{{- $limit := ((.Values.restate.resources | default dict).limits | default dict).memory -}}
{{- $mebibytes := div (include "betting.bytes" ($limit | default 0) | int64) 1048576 -}}
{{- $told := dict -}}
{{- with .Values.restate.rocksdbMemory -}}
{{- $_ := set $told $rocksdb (mul (regexFind "^[0-9]+" . | int64) (ternary 1024 1 (hasSuffix "GiB" .))) -}}
{{- end -}}
{{- $shares := dict -}}
{{- $sum := 0 -}}
{{- range $setting, $part := $parts -}}
{{- $share := div $mebibytes $part.part -}}
{{- $share = get $told $setting | default (min $share ($part.most | default $share)) -}}
{{- if and $share (not (hasKey $.Values.restate.env $setting)) -}}
{{- $sum = add $sum $share -}}
{{- $_ := set $shares $setting (printf "%dMiB" (int64 $share)) -}}
{{- end -}}
{{- end -}}
{{- if and $limit (gt (add $sum $rest) $mebibytes) -}}
{{- $cure := ternary "raise it, or lower restate.rocksdbMemory" "raise it to 1Gi at least" (gt (len $told) 0) -}}
{{- fail (printf "restate.resources.limits.memory: %s leaves %d MiB beside what Restate's parts share, %d of it for RocksDB, and %d are needed: %s" (include "betting.text" $limit) (sub $mebibytes $sum) (get $told $rocksdb | default (div $mebibytes 4)) $rest $cure) -}}
{{- end -}}
{{- $shares | toJson -}}
{{- end -}}

{{/* Restate's settings. */}}
{{- define "betting.restateEnv" -}}
{{- $name := printf "%s-restate" (include "betting.name" .) -}}
{{- $nodes := printf "%s-nodes" $name -}}
{{- $replicas := int .Values.restate.replicas -}}
{{- /* What `restate.env` may say otherwise. A large request costs a pod its memory, and is repeated; of many connections each pod has some. */}}
{{- $ours := dict "RESTATE_INGRESS__REQUEST_SIZE_LIMIT" "65536" "RESTATE_WORKER__INVOKER__HTTP2_STREAMS_PER_CONNECTION_LIMIT" "8" -}}
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
{{- range $setting, $share := include "betting.restateMemory" $ | fromJson }}
- {name: {{ $setting }}, value: {{ $share | quote }}}
{{- end }}
- {name: RESTATE_SHUTDOWN_TIMEOUT, value: "{{ sub $.Values.restate.terminationGracePeriodSeconds 15 }}s"}
- {name: RESTATE_WORKER__INVOKER__REQUEST_IDENTITY_PRIVATE_KEY_PEM_FILE, value: /signing-key/private.pem}
{{- if gt $replicas 1 }}
- {name: RESTATE_METADATA_CLIENT__TYPE, value: replicated}
- name: RESTATE_METADATA_CLIENT__ADDRESSES
  value: '[{{ range $i := until $replicas }}{{ if $i }}, {{ end }}"http://{{ $name }}-{{ $i }}.{{ $nodes }}.{{ $.Release.Namespace }}.svc:5122/"{{ end }}]'
- {name: RESTATE_DEFAULT_REPLICATION, value: "2"}
{{- /* Restate 1.7 cannot send the filters that it makes of one side of a join to another node: a join of texts, as the bookkeeper's, fails. */}}
{{- $_ := set $ours "RESTATE_ADMIN__QUERY_ENGINE__DATAFUSION_OPTIONS" `{"datafusion.optimizer.enable_dynamic_filter_pushdown"="false"}` }}
{{- end }}
{{- with $.Values.restate.snapshots }}
{{- if .destination }}
- {name: RESTATE_WORKER__SNAPSHOTS__DESTINATION, value: {{ .destination | quote }}}
- {name: RESTATE_WORKER__SNAPSHOTS__SNAPSHOT_INTERVAL_NUM_RECORDS, value: {{ .everyRecords | int | quote }}}
{{- $_ := set $ours "RESTATE_WORKER__SNAPSHOTS__NUM_RETAINED" (.retained | int) }}
{{- with .endpoint }}
{{- $_ := set $ours "RESTATE_WORKER__SNAPSHOTS__AWS_ENDPOINT_URL" . }}
{{- $_ := set $ours "RESTATE_WORKER__SNAPSHOTS__AWS_ALLOW_HTTP" (hasPrefix "http://" .) }}
{{- end }}
{{- with .region }}
{{- $_ := set $ours "RESTATE_WORKER__SNAPSHOTS__AWS_REGION" . }}
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
{{- $_ := set $ours $setting $value }}
{{- end }}
{{- range $setting, $value := $ours }}
- {name: {{ $setting }}, value: {{ include "betting.text" $value | quote }}}
{{- end }}
{{- end -}}

{{/* The pod that makes three empty nodes one cluster. A Job cannot change: its name tells all of this. */}}
{{- define "betting.provisionPod" -}}
{{- $name := printf "%s-restate" (include "betting.name" .) -}}
{{- $provision := printf "until restatectl status; do restatectl provision --yes --num-partitions %d --replication 2 --log-provider replicated; sleep 2; done" (int .Values.restate.partitions) -}}
restartPolicy: OnFailure
automountServiceAccountToken: false
securityContext: {{ include "betting.podSecurity" . | nindent 2 }}
{{- with include "betting.pullSecrets" . }}
imagePullSecrets: {{ . | nindent 2 }}
{{- end }}
{{- include "betting.placement" (list . .Values.restate "beside") }}
containers:
- name: provision
  image: {{ .Values.restate.image | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [sh, -c, {{ $provision | quote }}]
  env:
  - {name: RESTATECTL_ADDRESS, value: "http://{{ $name }}-0.{{ $name }}-nodes:5122/"}
  resources:
    requests: {cpu: 20m, memory: 64Mi}
    limits: {memory: 128Mi}
  securityContext: {{ include "betting.containerSecurity" . | nindent 4 }}
{{- end -}}
