#!/usr/bin/env bash
# A pod outside the release cannot reach PostgreSQL, and one inside can

# shellcheck source=tests/e2e/lib.sh
source "$(dirname "$0")/lib.sh"
image=$(k get statefulset postgres -o jsonpath='{.spec.template.spec.containers[?(@.name=="postgres")].image}')

# probe NAMESPACE COMPONENT: what a new pod there, which says it is that part of the release, hears from PostgreSQL.
probe() {
  kubectl --namespace "$1" delete pod probe --ignore-not-found --wait >/dev/null
  sed "s|@IMAGE@|$image|; s|@HOST@|postgres.$namespace|; s|@COMPONENT@|$2|" "$here/probe.yaml" |
    kubectl --namespace "$1" apply --filename - >/dev/null
  kubectl --namespace "$1" wait --for=jsonpath='{.status.phase}'=Succeeded pod/probe --timeout=60s >/dev/null ||
    broken "the probe in $1 does not end"
  kubectl --namespace "$1" logs probe
  kubectl --namespace "$1" delete pod probe --wait=false >/dev/null
}

inside=$(probe "$namespace" test)
[[ $inside == *'accepting connections' ]] || broken "PostgreSQL is not reached even from inside: $inside"
neighbour=$(probe "$namespace" stranger)
[[ $neighbour == *'no response' ]] || broken "a pod of this namespace that is no part of the release gets: $neighbour"
outside=$(probe "$observability" test)
[[ $outside == *'no response' ]] || broken "a pod of another namespace with the release's labels gets: $outside"
show "inside: ${inside#* - }; a neighbour: ${neighbour#* - }; another namespace: ${outside#* - }"
