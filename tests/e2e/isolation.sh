#!/usr/bin/env bash
# A pod outside the release reaches neither PostgreSQL nor an admin port, and one that needs to does

# shellcheck source=tests/e2e/lib.sh
source "$(dirname "$0")/lib.sh"
image=$(k get statefulset postgres -o jsonpath='{.spec.template.spec.containers[?(@.name=="postgres")].image}')

# probe NAMESPACE COMPONENT: what a new pod there, which says it is that part of the release, hears from PostgreSQL, and
# which admin ports are open to it.
probe() {
  kubectl --namespace "$1" delete pod probe --ignore-not-found --wait >/dev/null
  sed "s|@IMAGE@|$image|; s|@RELEASE@|$namespace|g; s|@COMPONENT@|$2|" "$here/probe.yaml" |
    kubectl --namespace "$1" apply --filename - >/dev/null
  kubectl --namespace "$1" wait --for=jsonpath='{.status.phase}'=Succeeded pod/probe --timeout=60s >/dev/null ||
    broken "the probe in $1 does not end"
  kubectl --namespace "$1" logs probe | paste -sd ';' | sed 's/;/; /g; s/^[^ ]* - //'
  kubectl --namespace "$1" delete pod probe --wait=false >/dev/null
}

readonly closed='no response; frontend closed; dice-roller closed; die-service closed'
inside=$(probe "$namespace" test)
[[ $inside == 'accepting connections; frontend open; dice-roller open; die-service open' ]] ||
  broken "the pods of helm test get: $inside"
neighbour=$(probe "$namespace" stranger)
[[ $neighbour == "$closed" ]] || broken "a pod of this namespace that is no part of the release gets: $neighbour"
outside=$(probe "$observability" test)
[[ $outside == "$closed" ]] || broken "a pod of another namespace with the release's labels gets: $outside"
show "inside: $inside; a neighbour and another namespace: $outside"
