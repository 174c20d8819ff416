{{/* Where pods of a part may run: as its own values say, or else as those of all pods. "beside" is for pods that come beside those of the
part, and are not to be kept apart from them. Use: include "betting.placement" (list $ .Values.restate), or (list $ .Values.restate "beside") */}}
{{- define "betting.placement" -}}
{{- $all := (index . 0).Values -}}
{{- $own := index . 1 -}}
{{- $affinity := $own.affinity | default $all.affinity | default dict -}}
{{- if has "beside" . -}}
{{- $affinity = pick $affinity "nodeAffinity" -}}
{{- end -}}
{{- with $own.nodeSelector | default $all.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with $own.tolerations | default $all.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with $affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- with $own.priorityClassName | default $all.priorityClassName }}
priorityClassName: {{ quote . }}
{{- end }}
{{- end -}}
