#!/usr/bin/env bash
# helm uninstall leaves nothing but the claim

# shellcheck source=tests/e2e/lib.sh
source "$(dirname "$0")/lib.sh"
k delete job -l app.kubernetes.io/name=k6 >/dev/null # was never the release's
helm uninstall dicebox --namespace "$namespace" --wait --timeout 120s >/dev/null

# What carries the release's label, in this namespace and in the cluster.
left_behind() {
  {
    kubectl api-resources --verbs=list --namespaced -o name | paste -sd , | xargs -I@ kubectl --namespace "$namespace" \
      get @ --ignore-not-found -l app.kubernetes.io/instance=dicebox -o name
    kubectl api-resources --verbs=list --namespaced=false -o name | paste -sd , | xargs -I@ kubectl \
      get @ --ignore-not-found -l app.kubernetes.io/instance=dicebox -o name
  } 2>/dev/null | sort -u
}
only_claim() { [[ $(left_behind) == persistentvolumeclaim/* && $(left_behind | wc -l) == 1 ]]; }
eventually 60 only_claim || broken "left: $(left_behind | xargs)"
show "left: $(left_behind)"
