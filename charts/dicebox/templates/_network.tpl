{{/*
Parts of network policies. All take (list $ …).
*/}}

{{/* Everything above the rules: (list $ "component" types). */}}
{{- define "dicebox.policyHead" -}}
{{- $root := index . 0 -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "dicebox.name" . }}
  labels:
    {{- include "dicebox.labelsWith" (list $root (index . 1) $root.Values.networkPolicy.additionalLabels) | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "dicebox.selectorLabels" . | nindent 6 }}
  policyTypes: [{{ join ", " (index . 2) }}]
{{- end -}}

{{/* The pods of one component. */}}
{{- define "dicebox.peer" -}}
- podSelector:
    matchLabels:
      {{- include "dicebox.selectorLabels" . | nindent 6 }}
{{- end -}}

{{/* All pods of the release: they carry its labels. */}}
{{- define "dicebox.releasePeers" -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
      app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- end -}}

{{/* Who may scrape the main port, which has no metrics beside an exclusive admin port. */}}
{{- define "dicebox.mainPortScrapers" -}}
{{- if not .Values.admin.exclusive }}
{{- with .Values.networkPolicy.prometheus }}{{ toYaml . }}{{ end }}
{{- end }}
{{- end -}}

{{/* Ingress to the admin port from Prometheus and from components, at least one: (list $ "component" …). An empty list
     of peers would let everyone in. */}}
{{- define "dicebox.toAdminPort" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.admin.enabled -}}
- ports:
    - port: admin
  from:
    {{- range rest . }}
    {{- include "dicebox.peer" (list $root .) | nindent 4 }}
    {{- end }}
    {{- with $root.Values.networkPolicy.prometheus }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
{{- end -}}

{{/* Ingress of the two services behind frontend, which reads them at their admin port for the page. */}}
{{- define "dicebox.behindFrontend" -}}
- ports:
    - port: http
  from:
    {{- include "dicebox.releasePeers" (list .) | nindent 4 }}
    {{- with include "dicebox.mainPortScrapers" . }}
    {{- . | nindent 4 }}
    {{- end }}
{{- with include "dicebox.toAdminPort" (list . "test" "frontend") }}
{{ . }}
{{- end }}
{{- end -}}

{{/* Egress to a component: (list $ "component" port …). */}}
{{- define "dicebox.toComponent" -}}
- to:
    {{- include "dicebox.peer" . | nindent 4 }}
  ports:
    {{- range slice . 2 }}
    - port: {{ . }}
    {{- end }}
{{- end -}}

{{/* Egress to what lies outside the release. It is open: a policy sees the pod behind a Service and its port, and the
     address in the values tells neither. */}}
{{- define "dicebox.toOutside" -}}
- {}
{{- end -}}

{{- define "dicebox.toDns" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end -}}

{{/* (list $ environment of the service). */}}
{{- define "dicebox.toCollector" -}}
{{- $root := index . 0 -}}
{{- if or $root.Values.otlpEndpoint (include "dicebox.otlpInEnv" (list $root.Values.env (index . 1))) -}}
{{- include "dicebox.toOutside" $root -}}
{{- else if include "dicebox.otlpEndpoint" $root -}}
{{- include "dicebox.toComponent" (list $root "alloy" "otlp-http") -}}
{{- end -}}
{{- end -}}

{{- define "dicebox.toDatabase" -}}
{{- $root := index . 0 -}}
{{- if include "dicebox.ownPostgres" $root -}}
{{- include "dicebox.toComponent" (list $root "postgres" "postgres") -}}
{{- else if eq $root.Values.dieService.store "postgres" -}}
{{- include "dicebox.toOutside" $root -}}
{{- end -}}
{{- end -}}
