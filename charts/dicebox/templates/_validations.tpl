{{- define "dicebox.validations" -}}
{{- end -}}
