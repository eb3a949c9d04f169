{{/*
What things are called. Every helper takes (list $ "component").
*/}}

{{/* An object is called as its component is, after namePrefix: die-service is the Service, the pod, the container,
     service.name and job alike. */}}
{{- define "dicebox.name" -}}
{{- printf "%s%s" (index . 0).Values.namePrefix (index . 1) -}}
{{- end -}}

{{- define "dicebox.selectorLabels" -}}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "dicebox.labels" -}}
{{ include "dicebox.selectorLabels" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name ((index . 0).Chart.Version | replace "+" "_") }}
{{- end -}}

{{/* The same with labels of the user's, which win: (list $ "component" labels). */}}
{{- define "dicebox.labelsWith" -}}
{{- toYaml (mergeOverwrite (include "dicebox.labels" . | fromYaml) (index . 2)) -}}
{{- end -}}

{{/* An image's full name: (list $ .Values.image). A digest wins over the tag. */}}
{{- define "dicebox.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- with $root.Values.global.imageRegistry | default $image.registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default $root.Chart.AppVersion }}{{ end -}}
{{- end -}}

{{/* Addresses inside the release. */}}
{{- define "dicebox.frontendUrl" -}}
http://{{ include "dicebox.name" (list . "frontend") }}:{{ .Values.frontend.service.port }}
{{- end -}}
{{- define "dicebox.diceRollerUrl" -}}
http://{{ include "dicebox.name" (list . "dice-roller") }}:{{ .Values.diceRoller.service.port }}
{{- end -}}
{{- define "dicebox.dieServiceUrl" -}}
http://{{ include "dicebox.name" (list . "die-service") }}:{{ .Values.dieService.service.port }}
{{- end -}}

{{/* What the containers listen on; the ports of their Services are values. */}}
{{- define "dicebox.containerPorts" -}}
frontend: 8111
diceRoller: 8110
dieService: 8109
{{- end -}}

{{/* The Service with a service's admin port: (list $ "component" values). NodePort and LoadBalancer open every port of a
     Service to the world, so beside them it has a Service of its own. */}}
{{- define "dicebox.adminService" -}}
{{- $name := include "dicebox.name" . -}}
{{- if eq (index . 2).service.type "ClusterIP" }}{{ $name }}{{ else }}{{ $name }}-admin{{ end -}}
{{- end -}}

{{- define "dicebox.adminUrl" -}}
http://{{ include "dicebox.adminService" . }}:{{ (index . 0).Values.admin.port }}
{{- end -}}

{{/* The name of the port that answers probes and scrapes. */}}
{{- define "dicebox.operationalPort" -}}
{{- ternary "admin" "http" .Values.admin.enabled -}}
{{- end -}}

{{/* Where the services send spans; empty when there is no collector. */}}
{{- define "dicebox.otlpEndpoint" -}}
{{- if .Values.otlpEndpoint -}}
{{ .Values.otlpEndpoint }}
{{- else if and .Values.alloy.enabled .Values.alloy.tracesUrl -}}
http://{{ include "dicebox.name" (list . "alloy") }}:4318
{{- end -}}
{{- end -}}

{{/* "true" when a variable of the environment says where spans go: a list of environments. */}}
{{- define "dicebox.otlpInEnv" -}}
{{- range $env := . }}
{{- if or (hasKey $env "OTEL_EXPORTER_OTLP_ENDPOINT") (hasKey $env "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") }}true{{ end -}}
{{- end -}}
{{- end -}}
