{{/*
One of the services: its Service, Deployment and, when asked for, HorizontalPodAutoscaler and PodDisruptionBudget.

  root         $
  component    the service's name, which is the binary's too
  values       its part of the values
  port         what the container listens on
  env          its own environment, a map as dicebox.env takes it
  annotations  of the pods (optional)
  volumes, volumeMounts  (optional)
*/}}
{{- define "dicebox.service" -}}
{{- $root := .root -}}
{{- $values := .values -}}
{{- $name := include "dicebox.name" (list $root .component) -}}
{{- $admin := $root.Values.admin -}}
{{- $adminService := include "dicebox.adminService" (list $root .component $values) -}}
{{- $probed := include "dicebox.operationalPort" $root -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}
  labels:
    {{- include "dicebox.labels" (list $root .component) | nindent 4 }}
  {{- with $values.service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ $values.service.type }}
  ports:
    - name: http
      port: {{ $values.service.port }}
      targetPort: http
      {{- with $values.service.nodePort }}
      nodePort: {{ . }}
      {{- end }}
      appProtocol: http
    {{- if and $admin.enabled (eq $name $adminService) }}
    {{- include "dicebox.adminPort" $admin | nindent 4 }}
    {{- end }}
  selector:
    {{- include "dicebox.selectorLabels" (list $root .component) | nindent 4 }}
{{- if and $admin.enabled (ne $name $adminService) }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $adminService }}
  labels:
    {{- include "dicebox.labels" (list $root .component) | nindent 4 }}
spec:
  type: ClusterIP
  ports:
    {{- include "dicebox.adminPort" $admin | nindent 4 }}
  selector:
    {{- include "dicebox.selectorLabels" (list $root .component) | nindent 4 }}
{{- end }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  labels:
    {{- include "dicebox.labels" (list $root .component) | nindent 4 }}
spec:
  {{- if not $values.autoscaling.enabled }}
  replicas: {{ $values.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  # The new pod is ready before the old one goes, also when there is only one.
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  selector:
    matchLabels:
      {{- include "dicebox.selectorLabels" (list $root .component) | nindent 6 }}
  template:
    metadata:
      {{- include "dicebox.podMetadata" (list $root .component (.annotations | default dict)) | nindent 6 }}
    spec:
      {{- include "dicebox.podSpec" (list $root 65532) | nindent 6 }}
      automountServiceAccountToken: false
      # Both phases of the drain, two seconds to flush telemetry, and one to spare.
      terminationGracePeriodSeconds: {{ add $root.Values.shutdown.drainDelaySeconds $root.Values.shutdown.drainTimeoutSeconds 3 }}
      containers:
        - name: {{ .component }}
          image: {{ include "dicebox.image" (list $root $root.Values.image) }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          command: [/usr/bin/{{ .component }}]
          env:
            {{- include "dicebox.serviceEnv" . | trim | nindent 12 }}
          ports:
            - name: http
              containerPort: {{ .port }}
            {{- if $admin.enabled }}
            - name: admin
              containerPort: {{ $admin.port }}
            {{- end }}
          startupProbe:
            httpGet: {path: /livez, port: {{ $probed }}}
            periodSeconds: 1
            failureThreshold: 30
          livenessProbe:
            httpGet: {path: /livez, port: {{ $probed }}}
            periodSeconds: 10
            timeoutSeconds: 3
          readinessProbe:
            httpGet: {path: /readyz, port: {{ $probed }}}
            periodSeconds: 2
            timeoutSeconds: 3
            failureThreshold: 2
          {{- include "dicebox.containerSecurity" $root | nindent 10 }}
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          {{- with .volumeMounts }}
          volumeMounts:
            {{- toYaml . | nindent 12 }}
          {{- end }}
      {{- with .volumes }}
      volumes:
        {{- toYaml . | nindent 8 }}
      {{- end }}
{{- if $values.autoscaling.enabled }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ $name }}
  labels:
    {{- include "dicebox.labels" (list $root .component) | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ $name }}
  minReplicas: {{ $values.autoscaling.minReplicas }}
  maxReplicas: {{ $values.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ $values.autoscaling.targetCPUUtilizationPercentage }}
{{- end }}
{{- if $values.podDisruptionBudget.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $name }}
  labels:
    {{- include "dicebox.labels" (list $root .component) | nindent 4 }}
spec:
  maxUnavailable: {{ $values.podDisruptionBudget.maxUnavailable }}
  # A pod that is not ready serves nobody, so it never holds up the drain of a node.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "dicebox.selectorLabels" (list $root .component) | nindent 6 }}
{{- end }}
{{- end -}}

{{/* The admin port as a Service has it: .Values.admin. */}}
{{- define "dicebox.adminPort" -}}
- name: admin
  port: {{ .port }}
  targetPort: admin
  appProtocol: http
{{- end -}}

{{/* The environment of a service. Later maps win: the chart's, the service's, `env`, and `env` of the service. */}}
{{- define "dicebox.serviceEnv" -}}
{{- $root := .root -}}
{{- $env := dict
      "DRAIN_DELAY" (printf "%ds" (int $root.Values.shutdown.drainDelaySeconds))
      "DRAIN_TIMEOUT" (printf "%ds" (int $root.Values.shutdown.drainTimeoutSeconds))
      "OTEL_RESOURCE_ATTRIBUTES" (include "dicebox.resourceAttributes" .) -}}
{{- $endpoint := include "dicebox.otlpEndpoint" $root -}}
{{- if $endpoint -}}
{{- $_ := set $env "OTEL_EXPORTER_OTLP_ENDPOINT" $endpoint -}}
{{- else if not (include "dicebox.otlpInEnv" (list $root.Values.env .values.env)) -}}
{{- /* Without a collector the spans are log lines, as ci/up does it. */ -}}
{{- $_ := set $env "OTEL_TRACES_EXPORTER" "console" -}}
{{- end -}}
{{- with $root.Values.admin -}}
{{- if .enabled -}}
{{- $_ := set $env "ADMIN_PORT" (int .port | toString) -}}
{{- end -}}
{{- if .exclusive -}}
{{- $_ := set $env "HTTP_OPERATIONAL_ROUTES" "false" -}}
{{- end -}}
{{- end -}}
{{- with $root.Values.traceBufferBytes -}}
{{- $_ := set $env "TRACE_BUFFER_BYTES" (int64 . | toString) -}}
{{- end -}}
{{- /* Kubernetes replaces $(NAME) only by what stands further up. */ -}}
{{- $pod := dict "NODE_NAME" "spec.nodeName" "POD_NAME" "metadata.name" "POD_NAMESPACE" "metadata.namespace" "POD_UID" "metadata.uid" -}}
{{- range $name, $path := $pod }}
- name: {{ $name }}
  valueFrom:
    fieldRef:
      fieldPath: {{ $path }}
{{- end }}
{{- include "dicebox.env" (mergeOverwrite $env .env $root.Values.env .values.env) }}
{{- end -}}

{{/* What a pod knows of itself. Alloy adds what only the API server knows, the Deployment. */}}
{{- define "dicebox.resourceAttributes" -}}
{{- $attributes := list
      "k8s.namespace.name=$(POD_NAMESPACE)"
      "k8s.pod.name=$(POD_NAME)"
      "k8s.pod.uid=$(POD_UID)"
      "k8s.node.name=$(NODE_NAME)"
      (printf "k8s.container.name=%s" .component)
      (printf "service.instance.id=$(POD_NAMESPACE).$(POD_NAME).%s" .component) -}}
{{- join "," $attributes -}}
{{- end -}}
