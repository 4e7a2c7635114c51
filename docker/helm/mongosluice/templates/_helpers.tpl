{{- define "mongosluice.name" -}}
{{- $name := printf "%s-%s" .Release.Name .Chart.Name }}
{{- if contains .Chart.Name .Release.Name }}{{ $name = .Release.Name }}{{ end }}
{{- $name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "mongosluice.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "mongosluice.labels" -}}
{{ include "mongosluice.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "mongosluice.advertise" -}}
{{- .Values.advertise | default (printf "%s.%s.svc.%s" (include "mongosluice.name" .) .Release.Namespace .Values.clusterDomain) }}
{{- end }}

{{- define "mongosluice.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "mongosluice.name" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{/* The number of servers: `servers`, or the number of hosts in `upstream`. Fails if the hosts do not tell it. */}}
{{- define "mongosluice.servers" -}}
{{- include "mongosluice.check" . }}
{{- /* A value from the environment or a file stands for any text, with slashes and commas in it. */}}
{{- $upstream := regexReplaceAllLiteral `\$\{[^}]*\}` .Values.upstream "${}" }}
{{- $hosts := 0 }}
{{- $parts := splitList "?" (trimPrefix "mongodb://" $upstream) }}
{{- if hasPrefix "mongodb://" $upstream }}
  {{- $list := first $parts | splitList "/" | first | splitList "@" | last }}
  {{- $hosts = contains "${}" $list | ternary 0 (splitList "," $list | compact | len) }}
{{- end }}
{{- $options := rest $parts | join "?" | lower | splitList "&" }}
{{- if .Values.servers }}
  {{- if lt (int .Values.servers) $hosts }}
    {{- fail (printf "servers is %d, but upstream lists %d hosts. Clients would not see a server without a port. Leave servers out, or set it to %d or more." (int .Values.servers) $hosts $hosts) }}
  {{- end }}
  {{- .Values.servers }}
{{- else if .Values.existingSecret }}
  {{- fail "servers is missing: the chart cannot read upstream in existingSecret. Set servers to the number of servers of the deployment." }}
{{- else if hasPrefix "mongodb+srv://" $upstream }}
  {{- fail "servers is missing: mongodb+srv:// does not tell the number of servers. Set servers to that number." }}
{{- else if eq $hosts 0 }}
  {{- fail "servers is missing: the hosts in upstream come from a file or the environment. Set servers to their number." }}
{{- else if and (eq $hosts 1) (regexMatch "(^|&)replicaset=" (join "&" $options)) (not (has "directconnection=true" $options)) }}
  {{- fail "servers is missing: upstream names one host of a replica set. List all members in upstream, or set servers to their number." }}
{{- else }}
  {{- $hosts }}
{{- end }}
{{- end }}

{{/* HTTPS if the proxy's options give the admin endpoint a certificate. */}}
{{- define "mongosluice.adminScheme" -}}
{{- $admin := index .Values.config "admin" }}
{{- $nested := and (kindIs "map" $admin) (index ($admin | default dict) "tls_cert_file") }}
{{- if or $nested (index .Values.config "admin.tls_cert_file") }}HTTPS{{ else }}HTTP{{ end }}
{{- end }}

{{/* Fails for values that contradict each other, and says which value to use instead. */}}
{{- define "mongosluice.check" -}}
{{- $config := .Values.config }}
{{- if not (or .Values.upstream .Values.existingSecret) }}
  {{- fail "upstream is missing: set upstream to the connection string of the deployment, or existingSecret to the name of a Secret with a configuration file." }}
{{- end }}
{{- $instead := dict
    "upstream" "upstream (or existingSecret)" "listen" "port" "listen_port_count" "servers" "advertise" "advertise"
    "schemas" "schemas" "schemas_registry" "registry.collection" "schemas_registry_uri" "registry.uri"
    "drain_timeout_ms" "drainSeconds" "tls.mode" "tls.mode" "tls.cert_file" "tls.secretName"
    "tls.key_file" "tls.secretName" "admin.listen" "admin.port" }}
{{- range $key, $value := $instead }}
  {{- $path := splitList "." $key }}
  {{- $group := index $config (first $path) }}
  {{- if or (hasKey $config $key) (and (gt (len $path) 1) (kindIs "map" $group) (hasKey ($group | default dict) (last $path))) }}
    {{- fail (printf "config.%s: the chart sets this option. Use its value %s instead." $key $value) }}
  {{- end }}
{{- end }}
{{- if .Values.existingSecret }}
  {{- if or .Values.upstream $config .Values.registry.uri }}
    {{- fail "existingSecret holds the whole configuration file: put upstream, the options of config and schemas_registry_uri (registry.uri) there, and leave these values empty." }}
  {{- end }}
{{- end }}
{{- if and .Values.registry.collection .Values.schemas }}
  {{- fail "schemas and registry.collection exclude each other: the pods follow the registry. Push the schemas to it (mongosluice schema push)." }}
{{- end }}
{{- if and (ne .Values.service.type "ClusterIP") (not .Values.advertise) }}
  {{- fail (printf "advertise is missing: with service.type %s the proxy must tell clients a name that they can reach from outside of the cluster." .Values.service.type) }}
{{- end }}
{{- if and (ne .Values.service.type "ClusterIP") .Values.networkPolicy.enabled (not .Values.networkPolicy.clients) }}
  {{- fail (printf "networkPolicy.clients is empty: with service.type %s no client outside of the namespace could connect. Name the clients' addresses (ipBlock), or set networkPolicy.enabled to false." .Values.service.type) }}
{{- end }}
{{- if eq .Values.service.type "NodePort" }}
  {{- if or (lt (int .Values.port) 30000) (gt (int .Values.port) 32767) }}
    {{- fail "port: with service.type NodePort the ports are node ports too, so all of them must lie between 30000 and 32767." }}
  {{- end }}
{{- end }}
{{- range $key, $_ := include "mongosluice.selector" . | fromYaml }}
  {{- if hasKey $.Values.podLabels $key }}{{ fail (printf "podLabels: the chart sets the label %s, by which the Service finds its pods." $key) }}{{ end }}
{{- end }}
{{- if .Values.autoscaling.enabled }}
  {{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) }}{{ fail "autoscaling.minReplicas is larger than autoscaling.maxReplicas." }}{{ end }}
  {{- if not (or .Values.autoscaling.targetCPUUtilizationPercentage .Values.autoscaling.targetMemoryUtilizationPercentage) }}
    {{- fail "autoscaling has no target: set autoscaling.targetCPUUtilizationPercentage." }}
  {{- end }}
  {{- range $resource, $target := dict "cpu" .Values.autoscaling.targetCPUUtilizationPercentage "memory" .Values.autoscaling.targetMemoryUtilizationPercentage }}
    {{- if and $target (not (dig "requests" $resource "" $.Values.resources)) }}
      {{- fail (printf "autoscaling measures a share of resources.requests.%s, which is missing." $resource) }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}
