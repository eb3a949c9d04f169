{{/*
Values that each are well-formed, as values.schema.json says, but make no sense together. All are told at once, each with
the key and the remedy.
*/}}
{{- define "dicebox.validations" -}}
{{- $problems := list -}}
{{- $store := .Values.dieService.store -}}
{{- $external := .Values.externalDatabase -}}

{{- if eq $store "postgres" -}}
{{- if .Values.dieService.dice -}}
{{- $problems = append $problems "dieService.dice is for dieService.store=file: in PostgreSQL the dice are rows of die_specifications. Remove it, or set dieService.store=file." -}}
{{- end -}}
{{- if and .Values.postgresql.enabled $external.host -}}
{{- $problems = append $problems "externalDatabase.host is set, but this release runs PostgreSQL itself. Set postgresql.enabled=false, or remove externalDatabase.host." -}}
{{- else if not (or .Values.postgresql.enabled $external.host) -}}
{{- $problems = append $problems "dieService.store is postgres, but there is none. Set externalDatabase.host, or postgresql.enabled=true." -}}
{{- end -}}
{{- if and $external.host (not $external.existingSecret) -}}
{{- $problems = append $problems "externalDatabase.existingSecret is not set: name a Secret with the passwords of externalDatabase, under the key diceuser-password at least." -}}
{{- end -}}
{{- if and $external.host .Values.migrations.enabled -}}
{{- if ne $external.user "diceuser" -}}
{{- $problems = append $problems "externalDatabase.user is not diceuser, whom the migrations let read the dice. Leave it out, or set migrations.enabled=false and bring the schema up to date yourself." -}}
{{- end -}}
{{- if and $external.superuser (ne $external.owner "diceowner") -}}
{{- $problems = append $problems "externalDatabase.owner is not diceowner, which externalDatabase.superuser makes. Leave it out, or make the roles yourself and leave externalDatabase.superuser out." -}}
{{- end -}}
{{- end -}}
{{- if and $external.host (hasPrefix "verify-" $external.sslMode) (not $external.caSecret) -}}
{{- $problems = append $problems (printf "externalDatabase.sslMode is %s, but there is no CA to verify by. Set externalDatabase.caSecret to a Secret with the key ca.crt, or sslMode to require." $external.sslMode) -}}
{{- end -}}
{{- else if $external.host -}}
{{- $problems = append $problems "externalDatabase.host is set, but the dice are in a file. Set dieService.store=postgres, or remove externalDatabase.host." -}}
{{- end -}}

{{- $alloy := .Values.alloy -}}
{{- if and $alloy.enabled (not (or $alloy.lokiUrl $alloy.tracesUrl)) -}}
{{- $problems = append $problems "alloy.enabled is set, but it has nowhere to send to. Set alloy.lokiUrl, alloy.tracesUrl or both." -}}
{{- end -}}
{{- range $key := list "lokiUrl" "tracesUrl" -}}
{{- if and (index $alloy $key) (not $alloy.enabled) -}}
{{- $problems = append $problems (printf "alloy.%s is set, but Alloy is off. Set alloy.enabled=true, or remove alloy.%s." $key $key) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.otlpEndpoint $alloy.tracesUrl -}}
{{- $problems = append $problems "otlpEndpoint and alloy.tracesUrl are both set, and spans can go one way only. Remove otlpEndpoint to send them through Alloy, or alloy.tracesUrl to send them to your collector." -}}
{{- end -}}
{{- $environments := list .Values.env .Values.frontend.env .Values.diceRoller.env .Values.dieService.env -}}
{{- if and .Values.tests.tempoUrl (not (or (include "dicebox.otlpEndpoint" .) (include "dicebox.otlpInEnv" $environments))) -}}
{{- $problems = append $problems "tests.tempoUrl is set, but no span leaves this release. Set alloy.enabled=true and alloy.tracesUrl, or otlpEndpoint." -}}
{{- end -}}

{{- $admin := .Values.admin -}}
{{- if and $admin.exclusive (not $admin.enabled) -}}
{{- $problems = append $problems "admin.exclusive is set, but without an admin port nothing would answer probes and scrapes. Set admin.enabled=true, or admin.exclusive=false." -}}
{{- end -}}
{{- if $admin.enabled -}}
{{- range $key, $port := include "dicebox.containerPorts" . | fromYaml -}}
{{- $service := (index $.Values $key).service -}}
{{- if eq (int $admin.port) (int $port) -}}
{{- $problems = append $problems (printf "admin.port is %d, on which %s listens for requests. Choose another admin.port." (int $port) (kebabcase $key)) -}}
{{- else if and (eq $service.type "ClusterIP") (eq (int $admin.port) (int $service.port)) -}}
{{- $problems = append $problems (printf "admin.port and %s.service.port are both %d, and a Service has each port once. Change one of them." $key (int $service.port)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- $reserved := dict
      "PORT" "The Service's port is <service>.service.port"
      "ADMIN_PORT" "The port is admin.port"
      "HTTP_OPERATIONAL_ROUTES" "See admin.exclusive"
      "HTTP_ADDRESS" "Probes and Services need the pod's own address"
      "NODE_NAME" "The chart takes it from the pod"
      "POD_NAME" "The chart takes it from the pod"
      "POD_NAMESPACE" "The chart takes it from the pod"
      "POD_UID" "The chart takes it from the pod" -}}
{{- if $admin.enabled -}}
{{- range $name := list "DICE_ROLLER_ADMIN_URL" "DIE_SERVICE_ADMIN_URL" -}}
{{- $_ := set $reserved $name "It follows from admin.port" -}}
{{- end -}}
{{- end -}}
{{- range $index, $key := list "env" "frontend.env" "diceRoller.env" "dieService.env" -}}
{{- range $name, $why := $reserved -}}
{{- if hasKey (index $environments $index) $name -}}
{{- $problems = append $problems (printf "%s.%s is the chart's own. %s: remove it." $key $name $why) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- range $key := list "frontend" "diceRoller" "dieService" -}}
{{- $values := index $.Values $key -}}
{{- if and $values.service.nodePort (eq $values.service.type "ClusterIP") -}}
{{- $problems = append $problems (printf "%s.service.nodePort is for NodePort. Set %s.service.type=NodePort, or remove the port." $key $key) -}}
{{- end -}}
{{- if $values.autoscaling.enabled -}}
{{- if gt (int $values.autoscaling.minReplicas) (int $values.autoscaling.maxReplicas) -}}
{{- $problems = append $problems (printf "%s.autoscaling.minReplicas is greater than maxReplicas. Lower it." $key) -}}
{{- end -}}
{{- if not (dig "requests" "cpu" "" $values.resources) -}}
{{- $problems = append $problems (printf "%s.autoscaling measures the share of the requested CPU. Set %s.resources.requests.cpu." $key $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- if $problems -}}
{{- fail (printf "\n\nThese values do not go together:\n  - %s\n" (join "\n  - " $problems)) -}}
{{- end -}}
{{- end -}}
