{{/*
Which PostgreSQL there is, and how to reach it.
*/}}

{{/* "true" when this release runs PostgreSQL itself. */}}
{{- define "dicebox.ownPostgres" -}}
{{- if and (eq .Values.dieService.store "postgres") .Values.postgresql.enabled }}true{{ end -}}
{{- end -}}

{{- define "dicebox.databaseSecret" -}}
{{- if include "dicebox.ownPostgres" . -}}
{{ .Values.auth.existingSecret | default (include "dicebox.name" (list . "postgres")) }}
{{- else -}}
{{ .Values.externalDatabase.existingSecret }}
{{- end -}}
{{- end -}}

{{/* One password, as valueFrom takes it: (list $ "diceuser"). */}}
{{- define "dicebox.password" -}}
secretKeyRef:
  name: {{ include "dicebox.databaseSecret" (index . 0) }}
  key: {{ index . 1 }}-password
{{- end -}}

{{/* libpq's variables for the server, without a role. */}}
{{- define "dicebox.databaseServer" -}}
{{- if include "dicebox.ownPostgres" . -}}
PGHOST: {{ include "dicebox.name" (list . "postgres") }}
PGPORT: "5432"
{{- else -}}
PGHOST: {{ .Values.externalDatabase.host }}
PGPORT: {{ .Values.externalDatabase.port | quote }}
PGSSLMODE: {{ .Values.externalDatabase.sslMode }}
{{- if .Values.externalDatabase.caSecret }}
PGSSLROOTCERT: /etc/postgres-ca/ca.crt
{{- end }}
{{- end -}}
{{- end -}}

{{/* The external server's CA as a pod takes it, volumes and volumeMounts; empty when there is none. */}}
{{- define "dicebox.databaseCa" -}}
{{- if and (eq .Values.dieService.store "postgres") (not .Values.postgresql.enabled) .Values.externalDatabase.caSecret -}}
volumes:
  - name: postgres-ca
    secret:
      secretName: {{ .Values.externalDatabase.caSecret }}
      items: [{key: ca.crt, path: ca.crt}]
volumeMounts:
  - name: postgres-ca
    mountPath: /etc/postgres-ca
    readOnly: true
{{- end -}}
{{- end -}}

{{- define "dicebox.databaseName" -}}
{{- if include "dicebox.ownPostgres" . }}dicedb{{ else }}{{ .Values.externalDatabase.database }}{{ end -}}
{{- end -}}

{{/* What die-service connects with. */}}
{{- define "dicebox.database" -}}
{{ include "dicebox.databaseServer" . }}
PGDATABASE: {{ include "dicebox.databaseName" . }}
{{- if include "dicebox.ownPostgres" . }}
PGUSER: diceuser
{{- else }}
PGUSER: {{ .Values.externalDatabase.user }}
{{- end }}
PGPASSWORD:
  {{- include "dicebox.password" (list . "diceuser") | nindent 2 }}
{{- end -}}
