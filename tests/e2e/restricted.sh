#!/usr/bin/env bash
# A namespace that enforces Pod Security restricted takes everything but Alloy, without a warning

# shellcheck source=tests/e2e/lib.sh
source "$(dirname "$0")/lib.sh"
space=$namespace-restricted
kubectl create namespace "$space" >/dev/null
kubectl label namespace "$space" pod-security.kubernetes.io/{enforce,warn}=restricted >/dev/null
# try SETTING...: a server-side dry run of the release with them; Deployments and Jobs answer by warnings.
try() {
  render "$root/charts/dicebox" --namespace "$space" --values "$E2E_WORK/images.yaml" \
    --values "$E2E_WORK/values.yaml" "$@" |
    kubectl --namespace "$space" apply --dry-run=server --server-side --filename - 2>&1
}
accepted=$(try --set alloy.enabled=false) || broken "refused: $accepted"
[[ $accepted != *[Ww]arning* ]] || broken "$(grep -i warning <<<"$accepted")"
with_alloy=$(try) || true
[[ $with_alloy == *'violate PodSecurity'*hostPath* ]] || broken "Alloy's hostPath should have been refused: $with_alloy"
kubectl delete namespace "$space" >/dev/null
show "$(grep -c 'serverside-applied' <<<"$accepted") objects; Alloy refused for its hostPath alone"
