#!/usr/bin/env bash
# A pod outside the release cannot reach PostgreSQL, and one inside can

# shellcheck source=tests/e2e/lib.sh
source "$(dirname "$0")/lib.sh"
image=$(k get statefulset postgres -o jsonpath='{.spec.template.spec.containers[?(@.name=="postgres")].image}')

# probe NAMESPACE NAME: what pg_isready says there, after the cluster had time to apply its policies to the pod.
probe() {
  kubectl --namespace "$1" delete pod probe --ignore-not-found --wait >/dev/null
  sed "s|@IMAGE@|$image|; s|@HOST@|postgres.$namespace|" "$here/probe.yaml" |
    kubectl --namespace "$1" apply --filename - >/dev/null
  kubectl --namespace "$1" wait --for=jsonpath='{.status.phase}'=Succeeded pod/probe --timeout=60s >/dev/null ||
    broken "the probe in $1 does not end"
  kubectl --namespace "$1" logs probe
  kubectl --namespace "$1" delete pod probe --wait=false >/dev/null
}

inside=$(k exec postgres-0 --container postgres -- pg_isready --host postgres --timeout 5 || true)
[[ $inside == *'accepting connections' ]] || broken "PostgreSQL is not reached even from inside: $inside"
outside=$(probe "$observability")
[[ $outside == *'no response' ]] || broken "a pod of another namespace gets: $outside"
neighbour=$(probe "$namespace")
[[ $neighbour == *'no response' ]] || broken "a pod of this namespace without the release's labels gets: $neighbour"
show "from elsewhere: ${outside#* - }"
